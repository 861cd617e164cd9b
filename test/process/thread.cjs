/**
 * Preloaded into the children of tests: models compute on one thread unless told otherwise. The threads of a tiny model
 * wait for each other after every operation; on a busy machine that costs a time slice each, seconds instead of
 * milliseconds.
 */
const { QwenVL } = require('../../dist/qwenvl')

const load = QwenVL.load.bind(QwenVL)
QwenVL.load = (options) =>
  load({ threads: 1, ...(typeof options === 'string' ? { model: options } : options) })
