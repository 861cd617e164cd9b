/** A grammar for answers that are nothing but boxes or points: whatever the model is, what it writes can be read. */
import { invalidArgument } from '../errors'
import type { GenerationId } from '../generations'
import { grammarText, literal } from '../output/gbnf'
import { coordinatesOf } from './generation'

/** What the answer may point at. */
export interface GroundingGrammarOptions {
  /** Default 'box'. */
  readonly kind?: 'box' | 'point' | undefined
  /** The only labels that may be given. Default: any text without a line break. */
  readonly labels?: readonly string[] | undefined
  /** Most items, from 1. Default: any number; never none. */
  readonly maxItems?: number | undefined
}

/**
 * GBNF for the option `grammar`, in the spelling of the generation: JSON in a code fence, or the tags of Qwen2-VL.
 * Coordinates are 0 to 1000 or whole pixels of the processed picture; `parseGrounding` clamps and orders them.
 * @param model `vl.info`
 * @throws InvalidArgumentError
 */
export function groundingGrammar(
  model: { readonly generation: GenerationId },
  options: GroundingGrammarOptions = {},
): string {
  const { kind = 'box', labels, maxItems } = check(options)
  const times = maxItems === undefined ? '*' : `{0,${maxItems - 1}}`
  const rules =
    model.generation === 'qwen2vl'
      ? tags(kind, labels, times)
      : json(kind, labels, times, coordinatesOf(model) === 'relative1000')
  return grammarText(rules)
}

type Kind = NonNullable<GroundingGrammarOptions['kind']>
type Labels = GroundingGrammarOptions['labels']

const upTo1000 = '"1000" | "0" | [1-9] [0-9]{0,2}'
const pixels = '"0" | [1-9] [0-9]{0,4}'

function json(kind: Kind, labels: Labels, times: string, isRelative: boolean): Record<string, string> {
  const count = kind === 'box' ? 4 : 2
  const numbers = Array<string>(count).fill('number').join(' ", " ')
  return {
    root: `"\`\`\`json\\n[\\n\\t" item (",\\n\\t" item)${times} "\\n]\\n\`\`\`"`,
    item: `${literal(`{"${kind === 'box' ? 'bbox' : 'point'}_2d": [`)} ${numbers} ${literal('], "label": ')} label "}"`,
    number: isRelative ? upTo1000 : pixels,
    label:
      labels?.map((label) => literal(JSON.stringify(label))).join(' | ') ??
      String.raw`"\"" [^"\\\x00-\x1f]+ "\""`,
  }
}

/** The tags are tokens of their own, which GBNF names in angle brackets. */
function tags(kind: Kind, labels: Labels, times: string): Record<string, string> {
  const point = '"(" number "," number ")"'
  return {
    root: `item item${times}`,
    item: `<|object_ref_start|> label <|object_ref_end|> <|box_start|> ${kind === 'box' ? `${point} "," ${point}` : point} <|box_end|>`,
    number: upTo1000,
    label: labels?.map(literal).join(' | ') ?? String.raw`[^<\x00-\x1f]+`,
  }
}

function check(options: GroundingGrammarOptions): GroundingGrammarOptions {
  const { kind = 'box', labels, maxItems } = options
  if (kind !== 'box' && kind !== 'point') throw invalidArgument('kind', "'box' or 'point'", kind)
  const isLabel = (label: unknown) => typeof label === 'string' && label !== ''
  if (labels !== undefined && !(Array.isArray(labels) && labels.length > 0 && labels.every(isLabel))) {
    throw invalidArgument('labels', 'strings, at least one, none empty', labels)
  }
  if (maxItems !== undefined && !(Number.isInteger(maxItems) && maxItems >= 1)) {
    throw invalidArgument('maxItems', 'a whole number from 1', maxItems)
  }
  return options
}
