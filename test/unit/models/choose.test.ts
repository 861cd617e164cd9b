/** Which files of real repositories a reference means. Names as their owners chose them. */
import { DownloadError, InvalidArgumentError } from '../../../lib'
import { chooseFiles, modelsIn } from '../../../lib/models/choose'
import { isReference, parseReference } from '../../../lib/models/reference'
import { expectError } from '../../support/errors'

const repositories: Readonly<Record<string, readonly string[]>> = {
  'ggml-org/Qwen2.5-VL-3B-Instruct-GGUF': [
    'README.md',
    'Qwen2.5-VL-3B-Instruct-Q4_K_M.gguf',
    'Qwen2.5-VL-3B-Instruct-Q8_0.gguf',
    'Qwen2.5-VL-3B-Instruct-f16.gguf',
    'mmproj-Qwen2.5-VL-3B-Instruct-Q8_0.gguf',
    'mmproj-Qwen2.5-VL-3B-Instruct-f16.gguf',
  ],
  'unsloth/Qwen3-VL-8B-Instruct-GGUF': [
    'BF16/Qwen3-VL-8B-Instruct-BF16-00001-of-00002.gguf',
    'BF16/Qwen3-VL-8B-Instruct-BF16-00002-of-00002.gguf',
    'Qwen3-VL-8B-Instruct-Q4_K_M.gguf',
    'Qwen3-VL-8B-Instruct-UD-Q4_K_XL.gguf',
    'imatrix_unsloth.gguf',
    'mmproj-BF16.gguf',
    'mmproj-F16.gguf',
    'mmproj-F32.gguf',
  ],
  'mradermacher/Qwen2-VL-2B-Instruct-GGUF': [
    'Qwen2-VL-2B-Instruct.IQ4_XS.gguf',
    'Qwen2-VL-2B-Instruct.Q8_0.gguf',
    'Qwen2-VL-2B-Instruct.mmproj-Q8_0.gguf',
    'Qwen2-VL-2B-Instruct.mmproj-fp16.gguf',
  ],
  'someone/two-models': [
    'large-Q4_K_M.gguf',
    'small-Q4_K_M.gguf',
    'small-IQ2_M.gguf',
    'mmproj-large-BF16.gguf',
    'mmproj-small-Q8_0.gguf',
  ],
  'someone/in-folders': ['a/x-Q8_0.gguf', 'a/mmproj-q8_0.gguf', 'b/x-Q4_0.gguf', 'b/mmproj-f32.gguf'],
  'someone/nameless': ['ggml-model.gguf'],
  'someone/incomplete': ['x-Q8_0-00001-of-00003.gguf', 'x-Q8_0-00003-of-00003.gguf'],
  'someone/safetensors': ['model.safetensors', 'config.json'],
}

function choose(model: string) {
  const reference = parseReference(model)
  const files = (repositories[reference.repository] ?? []).map((path) => ({ path }))
  const { quantisation, model: parts, mmproj } = chooseFiles(files, reference)
  return { quantisation, model: parts.map(({ path }) => path), mmproj: mmproj?.path }
}

describe('a reference', () => {
  test.each([
    ['hf:o/n', { repository: 'o/n', revision: 'main', choice: undefined }],
    ['hf:o/n:Q4_K_M', { repository: 'o/n', revision: 'main', choice: 'Q4_K_M' }],
    ['hf:o/n@v1.0:a/b.gguf', { repository: 'o/n', revision: 'v1.0', choice: 'a/b.gguf' }],
    ['hf:o/n.m-1@refs/pr/2', { repository: 'o/n.m-1', revision: 'refs/pr/2', choice: undefined }],
  ])('%s', (text, expected) => {
    expect(isReference(text)).toBe(true)
    expect(parseReference(text)).toEqual(expected)
  })

  test.each([
    ['hf:', 'hf:name', 'hf:a/b/c', 'hf:o/..', 'hf:o/a--b', 'hf:o/n:', 'hf:o/n@', 'hf:o/n:../x.gguf'],
    ['hf:o/n:/x.gguf', 'hf:o/n:a\\..\\x.gguf', 'hf:o/n@../..:Q8_0', 'hf:o/n@/x', 'hf:o/n:C:x.gguf', 'model'],
  ])('%s … are none', async (...texts) => {
    for (const text of texts) {
      await expectError(() => parseReference(text), {
        type: InvalidArgumentError,
        code: 'INVALID_ARGUMENT',
        says: ['hf:owner/name:Q4_K_M', text],
      })
    }
  })
})

describe('a model and its projector', () => {
  test.each([
    [
      'hf:ggml-org/Qwen2.5-VL-3B-Instruct-GGUF:Q4_K_M',
      'Q4_K_M',
      ['Qwen2.5-VL-3B-Instruct-Q4_K_M.gguf'],
      'mmproj-Qwen2.5-VL-3B-Instruct-f16.gguf',
    ],
    [
      'hf:ggml-org/Qwen2.5-VL-3B-Instruct-GGUF:f16',
      'F16',
      ['Qwen2.5-VL-3B-Instruct-f16.gguf'],
      'mmproj-Qwen2.5-VL-3B-Instruct-f16.gguf',
    ],
    // Without a wish: Q4_K_M.
    [
      'hf:unsloth/Qwen3-VL-8B-Instruct-GGUF',
      'Q4_K_M',
      ['Qwen3-VL-8B-Instruct-Q4_K_M.gguf'],
      'mmproj-F16.gguf',
    ],
    [
      'hf:unsloth/Qwen3-VL-8B-Instruct-GGUF:UD-Q4_K_XL',
      'UD-Q4_K_XL',
      ['Qwen3-VL-8B-Instruct-UD-Q4_K_XL.gguf'],
      'mmproj-F16.gguf',
    ],
    [
      'hf:unsloth/Qwen3-VL-8B-Instruct-GGUF:BF16',
      'BF16',
      [
        'BF16/Qwen3-VL-8B-Instruct-BF16-00001-of-00002.gguf',
        'BF16/Qwen3-VL-8B-Instruct-BF16-00002-of-00002.gguf',
      ],
      'mmproj-F16.gguf',
    ],
    [
      'hf:mradermacher/Qwen2-VL-2B-Instruct-GGUF',
      'Q8_0',
      ['Qwen2-VL-2B-Instruct.Q8_0.gguf'],
      'Qwen2-VL-2B-Instruct.mmproj-fp16.gguf',
    ],
    // The projector of the same model before the better precision.
    ['hf:someone/two-models:IQ2_M', 'IQ2_M', ['small-IQ2_M.gguf'], 'mmproj-small-Q8_0.gguf'],
    ['hf:someone/two-models:large-Q4_K_M.gguf', 'Q4_K_M', ['large-Q4_K_M.gguf'], 'mmproj-large-BF16.gguf'],
    ['hf:someone/in-folders:Q4_0', 'Q4_0', ['b/x-Q4_0.gguf'], 'b/mmproj-f32.gguf'],
    ['hf:someone/nameless', undefined, ['ggml-model.gguf'], undefined],
    // A projector alone.
    ['hf:unsloth/Qwen3-VL-8B-Instruct-GGUF:mmproj-F32.gguf', 'F32', ['mmproj-F32.gguf'], undefined],
  ])('%s', (reference, quantisation, model, mmproj) => {
    expect(choose(reference)).toEqual({ quantisation, model, mmproj })
  })

  test.each([
    ['hf:someone/safetensors', ['someone/safetensors', 'has no GGUF model', '-GGUF']],
    ['hf:unsloth/Qwen3-VL-8B-Instruct-GGUF:Q5_K_M', ['has no Q5_K_M', 'BF16, Q4_K_M, UD-Q4_K_XL']],
    ['hf:unsloth/Qwen3-VL-8B-Instruct-GGUF:x.gguf', ['has no x.gguf']],
    ['hf:someone/two-models', ['Name the file', 'hf:someone/two-models:large-Q4_K_M.gguf or hf:']],
    ['hf:someone/incomplete', ['has only 2 of the 3 files of x-Q8_0']],
  ])('%s is told to be impossible', async (reference, says) => {
    await expectError(() => choose(reference), { type: DownloadError, code: 'HUB_NOT_FOUND', says })
  })

  test('no other GGUF files count as models', () => {
    const paths = ['mtp-x-Q8_0.gguf', 'x.imatrix.gguf', 'mmproj-x.gguf', 'x-Q8_0.gguf', 'notes.txt']
    expect(modelsIn(paths.map((path) => ({ path }))).map(({ name }) => name)).toEqual(['x-Q8_0'])
  })
})
