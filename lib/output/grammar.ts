/** The grammar of a whole answer: a thought where the prompt opened one, then what the caller asked for. */
import type { ToolForm } from '../generations'
import { grammarText, literal, renameRules, textBefore } from './gbnf'
import { parameterKind } from './kinds'
import type { JsonSchema, ReadSchema } from './schema'

/** A tool as far as its calls are written. */
export interface CallableTool {
  readonly name: string
  /** Undefined: it takes no arguments. */
  readonly schema: ReadSchema | undefined
}

/** What an answer has to be. Several: any one of them. */
export interface AnswerRules {
  /** The prompt opened a thought, which is free but has to end. */
  readonly inThought: boolean
  /** GBNF of the caller. */
  readonly grammar?: string | undefined
  readonly schema?: ReadSchema | undefined
  /** Calls of these tools; `single`: exactly one. */
  readonly calls?:
    { readonly form: ToolForm; readonly tools: readonly CallableTool[]; readonly single: boolean } | undefined
}

/** GBNF for the values of a schema, as `schemaToGrammar` of the binding. */
export type ConvertSchema = (schema: JsonSchema) => Promise<string>

/** Most calls in one answer. */
const mostCalls = 8

/** @returns GBNF; empty where nothing was asked for */
export async function answerGrammar(rules: AnswerRules, convert: ConvertSchema): Promise<string> {
  const { inThought, grammar, schema, calls } = rules
  const parts: string[] = []
  const bodies: string[] = []
  const add = (name: string, text: string) => {
    parts.push(renameRules(text, (rule) => `${name}-${rule}`))
    bodies.push(`${name}-root`)
  }
  if (grammar !== undefined) add('given', grammar)
  if (schema) add('value', await convert(schema.forGrammar))
  if (calls) add('calls', await callsGrammar(calls, convert))
  if (bodies.length === 0) return ''
  const body = bodies.join(' | ')
  const own = inThought
    ? { root: `thought "</think>" "\\n"{0,2} (${body})`, ...textBefore('thought', '</think>') }
    : { root: body }
  return grammarText(own) + parts.join('')
}

async function callsGrammar(
  { form, tools, single }: NonNullable<AnswerRules['calls']>,
  convert: ConvertSchema,
): Promise<string> {
  const parts: string[] = []
  const names = tools.map((_, index) => `tool${index}`)
  for (const [index, tool] of tools.entries()) {
    const written = await (form === 'xml' ? xmlCall(tool, convert) : jsonCall(tool, form, convert))
    parts.push(renameRules(written, (rule) => `${names[index]}-${rule}`))
  }
  const any = names.map((name) => `${name}-root`).join(' | ')
  const more = single ? '' : ` ("\\n" (${any})){0,${mostCalls - 1}}`
  return grammarText({ root: `(${any})${more}` }) + parts.join('')
}

async function jsonCall(
  { name, schema }: CallableTool,
  form: 'hermes' | 'qwen-agent',
  convert: ConvertSchema,
): Promise<string> {
  const parameters = await convert(schema?.forGrammar ?? noParameters)
  const root =
    form === 'hermes'
      ? `${literal(`<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `)} given-root ${literal('}\n</tool_call>')}`
      : `${literal(`✿FUNCTION✿: ${name}\n✿ARGS✿: `)} given-root`
  return grammarText({ root }) + renameRules(parameters, (rule) => `given-${rule}`)
}

const noParameters: JsonSchema = { type: 'object', properties: {} }

async function xmlCall({ name, schema }: CallableTool, convert: ConvertSchema): Promise<string> {
  const parts: string[] = []
  const sequence: string[] = []
  const { properties = {}, required = [] } = objectOf(schema?.forGrammar ?? noParameters)
  for (const [index, [parameter, property]] of Object.entries(properties).entries()) {
    const isText = parameterKind(schema?.json, parameter) !== 'json'
    const choices = isText
      ? (property.enum ?? (property.const === undefined ? undefined : [property.const]))
      : undefined
    let value = 'text'
    if (choices?.every((choice) => typeof choice === 'string')) {
      value = `(${choices.map(literal).join(' | ')})`
    } else if (!isText) {
      value = `p${index}-root`
      parts.push(
        renameRules(await convert(partOf(schema?.forGrammar ?? {}, property)), (rule) => `p${index}-${rule}`),
      )
    }
    const written = `${literal(`<parameter=${parameter}>\n`)} ${value} ${literal('\n</parameter>\n')}`
    sequence.push(required.includes(parameter) ? written : `(${written})?`)
  }
  const root = [
    literal(`<tool_call>\n<function=${name}>\n`),
    ...sequence,
    literal('</function>\n</tool_call>'),
  ].join(' ')
  return grammarText({ root, ...textBefore('text', '</parameter>') }) + parts.join('')
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, JsonSchema & { readonly enum?: readonly unknown[] }>>
  readonly required?: readonly string[]
}

/** The object that a schema for the grammar describes; a schema with references stands under `root`. */
function objectOf(schema: JsonSchema): ObjectSchema {
  return (schema.$ref === '#/root' ? schema.root : schema) as ObjectSchema
}

/** A part of a schema, with the definitions that it refers to. */
function partOf(schema: JsonSchema, part: JsonSchema): JsonSchema {
  return schema.$ref === '#/root' ? { $ref: '#/part', part, root: schema.root } : part
}
