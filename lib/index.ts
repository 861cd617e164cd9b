/** Public names, nothing else. */
// TypeScript 6 and later load types of Node.js only where they are named: here for every consumer.
/// <reference types="node" preserve="true" />
export { QwenVL } from './qwenvl'
export type { ModelStats, PromptInspection } from './qwenvl'
export type { ModelInfo } from './info'
export type { Batch, BatchEntry, BatchItem, BatchOptions } from './batch'
export type {
  MediumTrace,
  RequestKind,
  RequestStats,
  RequestSummary,
  RequestTrace,
  WorkStats,
} from './requests'
export type { CacheStats, KeepEmbedding, KvStats } from './engine/binding'
export type { EngineWarning } from './engine/engine'
export type { EmbeddingSource, LogLine, TokenChance, TokenLogprob } from './engine/events'
export type { ImageCost, VideoCost } from './encoding'
export type { Estimate } from './estimate'
export { Chat } from './chat'
export type { ChatContent, ChatOptions, LoadedChatOptions, SaveOptions } from './chat'
export type { SavedChat } from './chatfile'
export type { KeptState } from './state'
export { GenerationStream } from './stream'
export type {
  FinishReason,
  GenerationResult,
  ImageReport,
  NewTokens,
  Rates,
  StreamPart,
  Timings,
  Usage,
  VideoReport,
} from './stream'
export type { CandidateFile } from './models/candidates'
export { listModels, removeModel } from './models/library'
export type { CachedModel, RemovedModel } from './models/library'
export type { PullProgress } from './models/meter'
export type { PulledModel, PullOptions } from './models/pull'
export type { HubOptions } from './models/settings'
export type { LoraAdapter } from './lora'
export type { EmbedOptions, GenerateOptions, LoadOptions, RunOptions, TurnOptions } from './options'
export type { Evicted, OverflowPolicy } from './room'
export type { RunResult } from './run'
export { computerUse, mobileUse } from './screen'
export type { ComputerAction, MobileAction, Screen, ScreenModel } from './screen'
export { answerMessage, tool, toolResult } from './tools'
export type {
  OpenAITool,
  ParsedToolCall,
  Tool,
  ToolChoice,
  ToolContext,
  ToolDefinition,
  ToolOutput,
} from './tools'
export type { JsonSchema, OutputSchema, ValueOf } from './output/schema'
export { systemReport } from './system'
export type { SystemReport } from './system'
export {
  assistant,
  image,
  imageEmbedding,
  system,
  text,
  user,
  video,
  videoEmbedding,
} from './prompt/messages'
export type {
  ContentPart,
  ImageEmbedding,
  ImageOptions,
  ImagePart,
  Message,
  MessagesInput,
  OpenAIImagePart,
  OpenAIVideoPart,
  QwenPart,
  Role,
  TextPart,
  ToolCall,
  VideoEmbedding,
  VideoOptions,
  VideoPart,
  VideoSource,
} from './prompt/messages'
export { drawGrounding } from './grounding/draw'
export type { DrawOptions } from './grounding/draw'
export { groundingPreset } from './grounding/generation'
export type { Coordinates } from './grounding/generation'
export { groundingGrammar } from './grounding/grammar'
export type { GroundingGrammarOptions } from './grounding/grammar'
export { clickPoint } from './grounding/item'
export type { Box, GroundingItem, GroundingShape, Point, Quad } from './grounding/item'
export { drawOnLatestPicture } from './grounding/latest'
export type { Drawable } from './grounding/overlay'
export { parseGrounding } from './grounding/parse'
export type { GroundedAnswer, GroundingOptions } from './grounding/parse'
export type { ImageSource } from './media/source'
export type { Grid, Size } from './media/geometry'
export type { GenerationId, SamplingDefaults } from './generations'
export {
  AbortError,
  ChatFileError,
  ContextOverflowError,
  DownloadError,
  ImageError,
  InvalidArgumentError,
  ModelLoadError,
  OutputError,
  QueueFullError,
  QwenVLError,
  ToolError,
  UnsupportedModelError,
  VideoError,
} from './errors'
export type { ErrorCode } from './errors'
