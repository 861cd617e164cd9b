/** Examples below the help of each command; the files are those of docs/cli.md. */
export const examples: Readonly<Record<string, readonly string[]>> = {
  ask: [
    'ask dog.jpg -q "What breed is this?" --model hf:Qwen/Qwen3-VL-4B-Instruct-GGUF:Q4_K_M',
    'ask before.png after.png -q "What changed?" --max-tokens 200',
    'ask receipt.jpg -q "The total?" --temperature 0 --json',
    'ask --video clip.mp4 --fps 1 -q "What happens?"',
    'ask - -q "Describe it." < dog.jpg',
  ],
  chat: ['chat dog.jpg --system "Answer briefly."', 'chat --load talk.json'],
  batch: [
    'batch questions.jsonl answers.jsonl --max-tokens 100',
    'batch pictures.jsonl texts.jsonl -q "Read all the text." --concurrency 8',
    'batch questions.jsonl answers.jsonl --retry',
  ],
  serve: [
    'serve --port 8080',
    'serve --host 0.0.0.0 --api-key secret --rate-limit 60',
    'serve --file-root pictures',
  ],
  embed: ['embed dog.jpg --out dog.f32 --json', 'embed --video clip.mp4 --out clip.f32'],
  inspect: ['inspect --messages messages.json', 'inspect --messages - --json < messages.json'],
  pull: [
    'pull hf:Qwen/Qwen3-VL-4B-Instruct-GGUF:Q4_K_M',
    'pull hf:Qwen/Qwen3-VL-4B-Instruct-GGUF --no-projector',
  ],
  list: ['list', 'list --json'],
  rm: ['rm hf:Qwen/Qwen3-VL-4B-Instruct-GGUF:Q4_K_M', 'rm hf:Qwen/Qwen3-VL-4B-Instruct-GGUF'],
  estimate: ['estimate hf:Qwen/Qwen3-VL-32B-Instruct-GGUF:Q4_K_M --picture 1920x1080 --context-size 16384'],
  bench: ['bench --picture 640x480 --runs 5', 'bench --json'],
  info: ['info --model model.gguf --mmproj mmproj.gguf', 'info --json'],
  doctor: ['doctor', 'doctor --json'],
  build: ['build', 'build --cuda --jobs 4'],
}

/** The text below the help of a command. */
export function examplesOf(command: string): string {
  const lines = examples[command] ?? []
  return lines.length > 0 ? `\nExamples:\n${lines.map((line) => `  $ qwenvl-native ${line}\n`).join('')}` : ''
}
