/** What is typed into `chat`. */
import { readTyped } from '../../../lib/cli/typed'
import { temporaryFolder } from '../../support/errors'

const folder = temporaryFolder()
const dog = folder.file('dog.jpg', '')
const spaced = folder.file('my dog.PNG', '')
const notes = folder.file('notes.txt', '')

test.each([
  ['/help', 'help', []],
  ['/image a.png  "b c.png"', 'image', ['a.png', 'b c.png']],
  ['/SAVE x\\ y.json', 'save', ['x y.json']],
])('%s is a command', (line, name, args) => {
  expect(readTyped(line)).toEqual({ type: 'command', name, args })
})

test.each([
  ['What is it?', [], 'What is it?'],
  ['two  spaces\nand lines', [], 'two  spaces\nand lines'],
  [`What is in ${dog} ?`, [dog], 'What is in ?'],
  [`${dog} "${spaced}" What differs?`, [dog, spaced], 'What differs?'],
  [`'${spaced}' It's there`, [spaced], "It's there"],
  [`${spaced.replace(' ', '\\ ')} What is it?`, [spaced], 'What is it?'],
  ['https://example.org/dog.webp What is it?', ['https://example.org/dog.webp'], 'What is it?'],
  [dog, [dog], ''],
  // No picture, or not said to be one.
  [`Read ${notes}, not \`cat.jpg\``, [], `Read ${notes}, not \`cat.jpg\``],
  ['One of\nabsent.jpg\nabsent.png', [], 'One of\nabsent.jpg\nabsent.png'],
  ['/tmp', [], '/tmp'],
])('%s is a message', (line, pictures, text) => {
  expect(readTyped(line)).toEqual({ type: 'message', pictures, text })
})

test.each([['cat.jpg What is it?'], ['What is in /no/such/cat.PNG'], [`${dog} "my cat.webp" What differs?`]])(
  '%s names a picture that is not there',
  (line) =>
    expect(() => readTyped(line)).toThrow(/^There is no picture '(cat.jpg|\/no\/such\/cat.PNG|my cat.webp)'/),
)
