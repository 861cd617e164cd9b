import { errorLine, errorLog } from '../../../lib/cli/failure'
import { ModelLoadError, QwenVLError, UnsupportedModelError, invalidArgument } from '../../../lib/errors'

describe('errorLine', () => {
  test('is one line, however many the message has', () => {
    const error = new ModelLoadError(
      'BINDING_NOT_FOUND',
      'It cannot be loaded.\n  - tried this\n  - tried that\nRun it.',
    )
    expect(errorLine(error)).toBe('error: It cannot be loaded. - tried this - tried that Run it.')
  })

  test('names options of the API as the flags they have here', () => {
    expect(errorLine(invalidArgument('maxTokens', 'a whole number from 1', 0))).toBe(
      'error: Expected --max-tokens to be a whole number from 1, got 0 (number).',
    )
    const missing = new UnsupportedModelError('PROJECTOR_MISSING', 'Pass `mmproj` to QwenVL.load().')
    expect(errorLine(missing)).toBe('error: Pass --mmproj.')
  })

  test('leaves other names alone', () => {
    expect(errorLine(invalidArgument('messages[0].role', "'user'", 'me'))).toContain('`messages[0].role`')
    expect(errorLine(new Error('`npx qwenvl-native build`'))).toBe('error: `npx qwenvl-native build`')
  })

  test('takes anything that was thrown', () => {
    expect(errorLine('plain')).toBe('error: plain')
  })
})

describe('errorLog', () => {
  test('is the native log', () => {
    const error = new QwenVLError('MODEL_LOAD_FAILED', 'no', { details: { log: 'line 1\nline 2\n' } })
    expect(errorLog(error)).toBe('line 1\nline 2\n')
  })

  test('is the place of the error where there is no log', () => {
    expect(errorLog(new Error('here'))).toMatch(/^Error: here\n {4}at /)
    expect(errorLog('plain')).toBe('')
  })
})
