/** Fields that several APIs share, and what they are in the library. */
import { z } from 'zod'
import type { GenerateOptions, OpenAITool, QwenVL } from '../index'
import { adapterList, chosenAdapters } from './adapters'

const string = z.string({ error: 'a string' })
const number = (least: number, most: number) =>
  z
    .number({ error: `a number from ${least} to ${most}` })
    .min(least, { error: `a number from ${least} to ${most}` })
    .max(most, { error: `a number from ${least} to ${most}` })
    .optional()
export const whole = (least: number, most: number) =>
  z
    .int({ error: `a whole number from ${least} to ${most}` })
    .min(least, { error: `a whole number from ${least} to ${most}` })
    .max(most, { error: `a whole number from ${least} to ${most}` })
    .optional()
const maxInt = 2 ** 31 - 1

/** Kinds of optional fields. */
export const given = {
  flag: z.boolean({ error: 'true or false' }).optional(),
  count: whole(1, maxInt),
  text: string.optional(),
  texts: z
    .union([string.min(1), z.array(string.min(1)).max(16)], {
      error: 'a string or an array of up to 16 strings, none empty',
    })
    .optional(),
}

export const jsonSchema = z.record(string, z.unknown(), { error: 'a JSON Schema' })

/** OpenAI's choice of a tool; the APIs differ in how a function is named. */
export function choiceOfTool<Named extends z.ZodType>(named: Named) {
  return z.union([z.enum(['auto', 'none', 'required']), named], {
    error: "'auto', 'none', 'required' or a function",
  })
}

/** OpenAI's form of an answer; the APIs differ in where the schema stands. */
export function answerFormat<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.discriminatedUnion(
    'type',
    [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      z.object({ type: z.literal('json_schema'), ...shape }),
    ],
    { error: "of the type 'text', 'json_object' or 'json_schema'" },
  )
}

/** The model, and how it samples: OpenAI's fields, and those that vLLM and llama-server added to them. */
export const sampling = {
  model: string.optional(),
  temperature: number(0, 100),
  top_p: number(0, 1),
  top_k: z
    .int({ error: 'a whole number' })
    .min(-1, { error: 'a whole number from -1' })
    .max(maxInt)
    .optional(),
  min_p: number(0, 1),
  presence_penalty: number(-1000, 1000),
  frequency_penalty: number(-1000, 1000),
  repetition_penalty: number(0.01, 1000),
  seed: z.int({ error: 'a whole number' }).optional(),
  ignore_eos: given.flag,
  /** Variables of the chat template. */
  chat_template_kwargs: z.record(string, z.unknown(), { error: 'an object' }).optional(),
  /** Whether a model that can think does, and how long. */
  enable_thinking: given.flag,
  thinking_budget: whole(0, maxInt),
  add_vision_id: given.flag,
  lora: adapterList,
}

/** Those fields as options of the library. @throws HttpError for an adapter that the model has not */
export function samplingOptions(
  model: QwenVL,
  request: z.infer<z.ZodObject<typeof sampling>>,
): GenerateOptions {
  const { top_k: topK, seed, enable_thinking: thinks, thinking_budget: budget } = request
  const variables = {
    ...(thinks !== undefined && { enable_thinking: thinks }),
    ...request.chat_template_kwargs,
  }
  const options = {
    temperature: request.temperature,
    topP: request.top_p,
    // -1 is how others write that all tokens count.
    topK: topK === undefined ? undefined : Math.max(topK, 0),
    minP: request.min_p,
    presencePenalty: request.presence_penalty,
    frequencyPenalty: request.frequency_penalty,
    repetitionPenalty: request.repetition_penalty,
    seed: seed === undefined ? undefined : Number(BigInt.asUintN(32, BigInt(seed))),
    ignoreEos: request.ignore_eos,
    thinkingBudget: budget,
    addVisionId: request.add_vision_id,
    lora: request.lora && chosenAdapters(model, request.lora),
    templateVariables: Object.keys(variables).length > 0 ? variables : undefined,
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

/** OpenAI's tools; others of its kinds run on its own machines. */
export const toolList = z
  .array(
    z
      .object(
        {
          type: z.literal('function', { error: "'function'" }),
          function: z.object(
            {
              name: string,
              description: string.nullish(),
              parameters: jsonSchema.nullish(),
            },
            { error: 'an object with a name' },
          ),
        },
        { error: 'a function' },
      )
      .transform(({ function: called }) => toolOf(called.name, called.description, called.parameters)),
    { error: 'an array of tools' },
  )
  .optional()

export function toolOf(
  name: string,
  description: string | null | undefined,
  parameters: Record<string, unknown> | null | undefined,
): OpenAITool {
  return {
    type: 'function',
    function: {
      name,
      ...(description != null && { description }),
      ...(parameters != null && { parameters }),
    },
  }
}

/** Fields that would change the answer and are not there. */
export function unsupported<Name extends string>(...names: Name[]): Record<Name, z.ZodOptional<z.ZodNever>> {
  const field = z.never({ error: 'absent: it is not supported' }).optional()
  return Object.fromEntries(names.map((name) => [name, field])) as Record<Name, typeof field>
}

/** Fields that change no answer: clients send them everywhere. */
export function ignored<Name extends string>(...names: Name[]): Record<Name, z.ZodOptional<z.ZodUnknown>> {
  const field = z.unknown().optional()
  return Object.fromEntries(names.map((name) => [name, field])) as Record<Name, typeof field>
}
