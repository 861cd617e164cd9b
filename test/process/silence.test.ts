/** The engine's libraries print nothing of their own on the host's stdout and stderr. */
import { fixture, root, run } from './program'

const files = { model: fixture('qwen2vl/model-f32.gguf'), threads: 1, contextSize: 512 }

/** Runs a program with a loaded model `vl`; resolves with what it printed. */
function program(body: string) {
  const load = `const { QwenVL } = require(${JSON.stringify(root)})
    QwenVL.load(${JSON.stringify(files)}).then(async (vl) => { ${body}; await vl.dispose() })`
  return run(['-e', load], { env: {} })
}

test('a grammar with a mistake is told of in the error alone', async () => {
  const ask = `vl.chat('What?', { grammar: 'root ::= (', maxTokens: 4 }).catch(({ code }) => console.log(code))`
  expect(await program(`await ${ask}`)).toEqual({
    code: 0,
    signal: null,
    stdout: 'INVALID_ARGUMENT\n',
    stderr: '',
  })
})

test('a pattern that no grammar can express is not warned of', async () => {
  const schema = { type: 'object', properties: { a: { type: 'string', pattern: '(?=x)' } } }
  const ask = `vl.chat('What?', { schema: ${JSON.stringify(schema)}, maxTokens: 4 }).catch(() => undefined)`
  expect(await program(`await ${ask}`)).toEqual({ code: 0, signal: null, stdout: '', stderr: '' })
})
