/** Options of loading, embedding and answering: their meaning and defaults. */
import type { LogLine } from './engine/events'
import type { EngineWarning } from './engine/engine'
import type { PullProgress } from './models/meter'
import type { HubOptions } from './models/settings'
import type { LoraAdapter } from './lora'
import type { OutputSchema } from './output/schema'
import type { OverflowPolicy } from './room'
import type { OpenAITool, Tool, ToolChoice } from './tools'

/** How to load a model. Sizes in tokens unless said otherwise. */
export interface LoadOptions {
  /**
   * Path of the GGUF file with the language model; of a split model the first file. Or a model of Hugging Face, which is
   * downloaded once: `hf:owner/name`, `hf:owner/name:Q4_K_M`, `hf:owner/name@revision:file.gguf`. Default: the built-in
   * model.
   */
  readonly model?: string
  /**
   * Path of the GGUF file with the vision projector, or `hf:owner/name:file.gguf`. Without it pictures are refused. A
   * model of Hugging Face brings its own, unless this is false.
   */
  readonly mmproj?: string | false
  /** Where models come from and where they are kept. Default: the variables of Hugging Face's programs. */
  readonly hub?: HubOptions
  /** Hears of a download, several times a second. */
  readonly onDownload?: (progress: PullProgress) => void
  /** Room for prompt and answer together. A picture takes `info.image` tokens. Default 8192, or what the model was trained for if that is less. */
  readonly contextSize?: number
  /** Most tokens of one prompt step. Default 512. */
  readonly batchSize?: number
  /** Answers that are computed at the same time, 1 to 256; others wait. They share the context's memory. Default 4. */
  readonly parallel?: number
  /** Requests that may wait beside these; one more is refused with a QueueFullError. Default 256. */
  readonly maxQueue?: number
  /** How long, in ms, a step may take while answers are generated: prompts are computed in so small parts. Default 100. */
  readonly stepMs?: number
  /** Same bits whatever runs beside an answer, on one machine. Costs `parallel` times the context's memory, and speed. Default false. */
  readonly deterministic?: boolean
  /** `speculate` with the model's own head (Qwen3.5), if the file has it. Costs 20 to 150 MB for each of `parallel`. Default false. */
  readonly mtp?: boolean
  /** Threads for computing. Default: the physical cores that this process may use. */
  readonly threads?: number
  /** Decoder layers on the GPU; -1 all, 0 none: then the encoder stays on the CPU too. Default -1. */
  readonly gpuLayers?: number
  /** Fused attention, faster with F16 rounding; 'off' for the most exact numbers. Default 'auto'. */
  readonly flashAttention?: 'auto' | 'on' | 'off'
  /** Element type of the KV memory. Default 'f16'; 'q8_0' halves it, 'f32' is exact. */
  readonly cacheType?: 'f16' | 'f32' | 'q8_0'
  /** Map the file instead of reading it. Default true. */
  readonly mmap?: boolean
  /** Smallest and largest processed area of a picture in pixels. Default: the generation's own. */
  readonly minPixels?: number
  readonly maxPixels?: number
  /**
   * Whose sizes and pixels to follow. Default: pictures have the sizes of transformers and the pixels of Pillow, as by its
   * slow image processors; videos are as by qwen-vl-utils. 'transformers': its processors with torchvision, whose pixels are
   * a level off now and then. 'qwen-vl-utils' rounds sides of about one token otherwise and bounds areas by 4 to 16384
   * tokens, which differs from the checkpoints' own bounds from Qwen3-VL on.
   */
  readonly reference?: 'transformers' | 'qwen-vl-utils'
  /** Jinja chat template instead of the model's own. */
  readonly chatTemplate?: string
  /** Refuses pictures larger than this, in bytes of the file. Default 64 MB. */
  readonly maxImageBytes?: number
  /** Refuses pictures of more pixels than this before decoding. Default 200 megapixels. */
  readonly maxInputPixels?: number
  /** Most memory, in bytes, that encoding one picture may take. Default: what is free when the model is loaded. */
  readonly encoderMemory?: number
  /** What becomes of a picture that would need more: an error that names the fix, or fewer pixels. Default 'refuse'. */
  readonly largeImages?: 'refuse' | 'shrink'
  /**
   * What the vision encoder multiplies. 'auto': F16 weights as BF16 where the CPU is faster with it and no weight changes
   * by it, which holds for files made of Qwen's BF16 checkpoints; the numbers in between are then rounded to 8 bits
   * instead of 11, as the checkpoint's own precision does. 'exact': weights as the file has them. Default 'auto'.
   */
  readonly encoderPrecision?: 'auto' | 'exact'
  /** Most bytes of pictures' embeddings that are kept in memory, so that no picture is encoded twice. Default 256 MB. */
  readonly cacheBytes?: number
  /** Folder in which embeddings outlive the process; several processes may share it. Made if it is missing. Default: none. */
  readonly cacheDir?: string
  /** Keep there also what is computed of prompts up to their last picture: 30 kB (2B) to 150 kB (8B) a token. Default false. */
  readonly cachePrompts?: boolean
  /** Most bytes of that folder; the longest unused go first. Default 4 GB. */
  readonly cacheDirBytes?: number
  /** LoRA adapters that requests may use, and their scales where a request has no `lora` of its own. Default: none. */
  readonly lora?: readonly LoraAdapter[]
  /** Fetch pictures from private, loopback and link-local addresses too. Default false. */
  readonly allowPrivateAddresses?: boolean
  /** Time for fetching one remote picture, in ms. Default 30 000. */
  readonly imageTimeoutMs?: number
  /** The ffmpeg program, which reads videos; ffprobe lies beside it. Default: both from PATH. */
  readonly ffmpegPath?: string
  /** Stops downloading and loading. */
  readonly signal?: AbortSignal
  /** Loaded share, 0 to 1, in whole percents. */
  readonly onProgress?: (progress: number) => void
  /** Hears what llama.cpp logs: hundreds of lines a load, a few in between. Default: nobody does. */
  readonly onLog?: (line: LogLine) => void
  /** Hears of what is amiss and stops nothing, e.g. a `cacheDir` that cannot be written. Default: `process.emitWarning`. */
  readonly onWarning?: (warning: EngineWarning) => void
}

/** How to embed a picture or a video. */
export interface EmbedOptions {
  /** Among waiting requests the higher goes first; a whole number. Default 0. */
  readonly priority?: number
  /** Ends it with an `AbortError`, within an operation of the encoder. */
  readonly signal?: AbortSignal
}

/** How to answer. Sampling defaults are those the generation was released with: `info.sampling`. */
export interface GenerateOptions<Schema extends OutputSchema | undefined = OutputSchema | undefined> {
  /** Most generated tokens. Default: as many as the context holds. */
  readonly maxTokens?: number
  /** 0 is greedy: always the likeliest token. */
  readonly temperature?: number
  /** Sample among the k likeliest; 0 all, 1 is greedy. */
  readonly topK?: number
  /** Sample among the likeliest that together have this probability, 0 to 1. */
  readonly topP?: number
  /** Leave out tokens less likely than this share of the likeliest, 0 to 1. */
  readonly minP?: number
  /** Divides the logits of tokens that prompt or answer contain already; 1 is off. */
  readonly repetitionPenalty?: number
  /** Subtracted from the logits of tokens that the answer contains already; 0 is off. */
  readonly presencePenalty?: number
  /** The same times their number so far; 0 is off. */
  readonly frequencyPenalty?: number
  /** Added to the logits of tokens, by id: `{ 1234: -100 }` is as good as never, 100 as always. Default: none. */
  readonly logitBias?: Readonly<Record<number, number>>
  /** Same seed, same text; among other requests only with `deterministic`. Default: a new one each time. */
  readonly seed?: number
  /**
   * Among waiting requests, and their pictures before the encoder, the higher goes first; where the KV memory is full, the
   * lowest waits. A whole number. Default 0.
   */
  readonly priority?: number
  /** Texts that end the answer; not part of it. */
  readonly stop?: string | readonly string[]
  /** GBNF grammar with a rule `root` that the answer has to follow, behind its thought. Default: none. */
  readonly grammar?: string
  /** The answer is JSON of this schema (zod 4 or JSON Schema): `value` of the result. Default: text. */
  readonly schema?: Schema
  /** Log-probability of every token; a number asks for so many best alternatives too. Default false. */
  readonly logprobs?: boolean | number
  /**
   * Most tokens that are guessed ahead and checked together, 0 to 16; 8 is a good number. The guess is what followed when
   * the latest tokens stood in prompt or answer before, so it pays where an answer repeats its prompt: extraction,
   * tables, rewriting. With `mtp` the model's own head guesses where nothing repeats. The text is that of the model either
   * way. Without effect with `deterministic`, and on models with a recurrent state (Qwen3.5) without `mtp`. Default 0.
   */
  readonly speculate?: number
  /** Do not stop at the end-of-turn token; for benchmarks. Default false. */
  readonly ignoreEos?: boolean
  /** "Picture 1: " before each picture, "Video 1: " before each video. Default false. */
  readonly addVisionId?: boolean
  /** 'allow': control tokens in the caller's texts count as such; prompt injection becomes possible. Default 'text'. */
  readonly specialTokens?: 'text' | 'allow'
  /** What the model may call: `tool()`s, or OpenAI's form. Default: nothing. */
  readonly tools?: ReadonlyArray<Tool | OpenAITool>
  /** Whether tools may or must be called. Default 'auto'. */
  readonly toolChoice?: ToolChoice
  /** Most tokens of the thought of a model that thinks; 0: no thought. Default: no limit. */
  readonly thinkingBudget?: number
  /** Which LoRA adapters of the model answer, and how strongly; `[]` none. Default: as the model was loaded. */
  readonly lora?: readonly LoraAdapter[]
  /** Further variables of the chat template, e.g. `{ enable_thinking: false }`. */
  readonly templateVariables?: Readonly<Record<string, unknown>>
  /** Cancels the request at any point; the call then throws AbortError. */
  readonly signal?: AbortSignal
}

/** How to answer with tools. */
export interface RunOptions<
  Schema extends OutputSchema | undefined = OutputSchema | undefined,
> extends GenerateOptions<Schema> {
  /** Most answers; one that still calls tools then is an error. Default 10. */
  readonly maxSteps?: number
}

/** How to answer a turn of a chat. */
export interface TurnOptions<
  Schema extends OutputSchema | undefined = OutputSchema | undefined,
> extends RunOptions<Schema> {
  /** What becomes of a conversation that is too long for the context. Default 'error'. */
  readonly overflow?: OverflowPolicy
}
