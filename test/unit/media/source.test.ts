import { getEventListeners } from 'node:events'
import { mkdirSync, mkdtempSync, openAsBlob, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import sharp from 'sharp'
import { nameOf, readSource } from '../../../lib/media/source'
import type { ImageSource, RawPixels, SourceOptions } from '../../../lib/media/source'

const content = 'the bytes of a picture'
const bytes = Buffer.from(content)
const folder = mkdtempSync(join(tmpdir(), 'qwenvl-source-'))
const path = join(folder, 'picture.png')

beforeAll(() => writeFileSync(path, bytes))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => jest.restoreAllMocks())

async function read(source: unknown, options?: SourceOptions): Promise<string> {
  const data = await readSource(source as ImageSource, options)
  return 'channels' in data ? `${data.width}×${data.height}×${data.channels}` : Buffer.from(data).toString()
}

const webStream = (...chunks: unknown[]) =>
  new ReadableStream({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })

describe('readSource takes', () => {
  const spread = new Uint8Array(Buffer.from(`__${content}__`)).buffer
  const middle = new DataView(spread, 2, bytes.length)

  it.each<readonly [string, () => unknown]>([
    ['a path', () => path],
    ['a file: URL as text', () => pathToFileURL(path).href],
    ['a file: URL as object', () => pathToFileURL(path)],
    ['a data: URI in base64', () => `data:image/png;base64,${bytes.toString('base64')}`],
    ["Qwen's data: URI without a subtype", () => `data:image;base64,${bytes.toString('base64')}`],
    [
      'base64 with line ends',
      () => `data:image/png;base64,${bytes.toString('base64').replace(/(.{7})/g, '$1\r\n')}`,
    ],
    ['base64 with escapes', () => `data:image/png;base64,${encodeURIComponent(bytes.toString('base64'))}`],
    ['base64 of the URL alphabet', () => `data:image/png;base64,${bytes.toString('base64url')}`],
    ['a data: URI with escapes', () => `DATA:image/svg+xml,${encodeURIComponent(content)}`],
    ['a data: URI as object', () => new URL(`data:,${encodeURIComponent(content)}`)],
    ['a Buffer', () => bytes],
    ['a Uint8Array', () => new Uint8Array(bytes)],
    ['a DataView', () => middle],
    ['an ArrayBuffer', () => spread.slice(2, -2)],
    [
      'an ArrayBuffer of another realm',
      () => runInNewContext('Uint8Array.from(b).buffer', { b: [...bytes] }) as unknown,
    ],
    ['a view of another realm', () => runInNewContext('Uint8Array.from(b)', { b: [...bytes] }) as unknown],
    ['a Blob', () => new Blob(['the bytes ', 'of a picture'])],
    ['a File', () => new File([bytes], 'picture.png')],
    ['a Blob of a file', () => openAsBlob(path)],
    ['a Node stream', () => Readable.from([bytes.subarray(0, 5), bytes.subarray(5)])],
    ['a web stream', () => webStream(bytes.subarray(0, 5), bytes.subarray(5))],
    [
      'a web stream that cannot be iterated',
      () => {
        const stream = webStream(bytes.subarray(0, 5), bytes.subarray(5))
        return { getReader: () => stream.getReader() }
      },
    ],
    [
      'an async iterable',
      () =>
        (async function* () {
          yield bytes.subarray(0, 5)
          yield new Uint8Array(bytes.subarray(5)).buffer
        })(),
    ],
  ])('%s', async (_, make) => {
    expect(await read(await make())).toBe(content)
  })

  it('an http URL, as text and object', async () => {
    const server = createServer((_, response) => response.end(content))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/p.png`
    try {
      expect(await read(url, { allowPrivateAddresses: true })).toBe(content)
      expect(await read(new URL(url), { allowPrivateAddresses: true })).toBe(content)
      await expect(read(url)).rejects.toMatchObject({ code: 'IMAGE_ADDRESS_REFUSED' })
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  })

  it('raw pixels', async () => {
    const pixels: RawPixels = { data: new Uint8ClampedArray(24), width: 2, height: 3, channels: 4 }
    expect(await read(pixels)).toBe('2×3×4')
  })

  it('a sharp instance: the result of its pipeline, upright, and again', async () => {
    const upright = await sharp({ create: { width: 4, height: 6, channels: 3, background: 'red' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer()
    const image = sharp(upright)
    expect(await read(image)).toBe('6×4×3')
    expect(await read(image.resize(3, 2).png())).toBe('3×2×3')
  })

  it('megabytes of base64 and of stream', async () => {
    const big = Buffer.alloc(5_000_001, 'abcdefg')
    const uri = `data:;base64,${big.toString('base64').replace(/(.{76})/g, '$1\n')}`
    expect(Buffer.compare(big, (await readSource(uri)) as Uint8Array)).toBe(0)
    const stream = Readable.from([
      big.subarray(0, 999_999),
      big.subarray(999_999, 1_000_000),
      big.subarray(1_000_000),
    ])
    expect(Buffer.compare(big, (await readSource(stream)) as Uint8Array)).toBe(0)
  })
})

describe('file: URLs', () => {
  it.each(['with space.png', 'fifty%20percent.png', '100%.png', 'a#b?c.png'])(
    "also as the Qwen READMEs write them, with a name like '%s'",
    async (name) => {
      writeFileSync(join(folder, name), name)
      expect(await read(`file://${folder}/${name}`)).toBe(name)
      expect(await read(pathToFileURL(join(folder, name)))).toBe(name)
    },
  )

  it('prefer the decoded path', async () => {
    writeFileSync(join(folder, 'x y'), 'decoded')
    writeFileSync(join(folder, 'x%20y'), 'literal')
    expect(await read(`file://${folder}/x%20y`)).toBe('decoded')
  })

  it('that lead nowhere name the decoded path', async () => {
    await expect(read(`file://${folder}/no%20such`)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      details: { path: join(folder, 'no such') },
    })
  })
})

describe('readSource refuses', () => {
  const empty = { name: 'ImageError', code: 'IMAGE_EMPTY' }
  const unfit = { name: 'ImageError', code: 'IMAGE_SOURCE' }

  it('a missing file, with the place where it looked', async () => {
    await expect(read('no/such.png')).rejects.toMatchObject({
      name: 'ImageError',
      code: 'FILE_NOT_FOUND',
      message: expect.stringContaining(`'no/such.png' (looked for ${join(process.cwd(), 'no/such.png')})`),
    })
    await expect(read(join(path, 'below-a-file'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  })

  it('a folder', async () => {
    mkdirSync(join(folder, 'album'))
    await expect(read(join(folder, 'album'))).rejects.toMatchObject({
      ...unfit,
      message: expect.stringContaining('is a folder'),
    })
  })

  it('bare base64, and says how to pass it', async () => {
    await expect(read('iVBORw0KGgo'.repeat(1000))).rejects.toMatchObject({
      ...unfit,
      message: expect.stringContaining('data:image/png;base64,'),
    })
  })

  it.each([
    ['ftp://host/picture.png', /scheme ftp:/],
    ['http://', /not a valid URL/],
    ['data:image/png;base64', /no comma/],
    ['data:image/png;base64,ÄÖÜ', /other characters/],
  ])('%s', async (source, message) => {
    await expect(read(source)).rejects.toMatchObject({ ...unfit, message: expect.stringMatching(message) })
  })

  it('zero bytes, wherever they come from', async () => {
    const file = join(folder, 'empty.png')
    writeFileSync(file, '')
    await expect(read(file)).rejects.toMatchObject({ ...empty, message: expect.stringContaining(file) })
    for (const source of [
      Buffer.alloc(0),
      new Blob([]),
      Readable.from([]),
      'data:image/png;base64,',
      webStream(),
    ]) {
      await expect(read(source)).rejects.toMatchObject(empty)
    }
  })

  it('a stream of text', async () => {
    const stream = Readable.from([bytes]).setEncoding('utf8')
    await expect(read(stream)).rejects.toMatchObject({
      ...unfit,
      message: expect.stringContaining('encoding'),
    })
  })

  it.each([undefined, null, 7, {}, []])('%p', async (source) => {
    await expect(read(source)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { argument: 'image' },
    })
  })

  it.each([
    ['image.data', { data: [1, 2, 3] }],
    ['image.data', { data: new Uint16Array(3) }],
    ['image.data.length', { data: new Uint8Array(4) }],
    ['image.width', { width: 0 }],
    ['image.height', { height: 1.5 }],
    ['image.channels', { channels: 5 }],
  ])('raw pixels with an unfit %s', async (argument, wrong) => {
    const pixels = { data: new Uint8Array(3), width: 1, height: 1, channels: 3, ...wrong }
    await expect(read(pixels)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', details: { argument } })
  })

  it('a sharp instance that fails', async () => {
    await expect(read(sharp(bytes))).rejects.toMatchObject({ ...unfit, cause: expect.anything() })
  })

  it.each([0, -1, Number.NaN])('a size limit of %p', async (maxBytes) => {
    await expect(read(bytes, { maxBytes })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe('the size limit', () => {
  it.each<readonly [string, () => unknown]>([
    ['a file', () => path],
    ['a device without end', () => '/dev/zero'],
    ['bytes', () => bytes],
    ['a Blob', () => new Blob([bytes])],
    ['a data: URI', () => `data:;base64,${bytes.toString('base64')}`],
    ['a data: URI with escapes', () => `data:,${encodeURIComponent(content)}`],
    ['a stream', () => Readable.from([bytes.subarray(0, 20), bytes.subarray(20)])],
    ['a web stream', () => webStream(bytes.subarray(0, 20), bytes.subarray(20))],
  ])('holds for %s', async (_, make) => {
    await expect(read(make(), { maxBytes: bytes.length - 1 })).rejects.toMatchObject({
      code: 'IMAGE_TOO_LARGE',
      message: expect.stringContaining('maxImageBytes'),
    })
  })

  it('lets pass what is just as large', async () => {
    expect(await read(path, { maxBytes: bytes.length })).toBe(content)
    expect(await read(Readable.from([bytes]), { maxBytes: bytes.length })).toBe(content)
    expect(await read(`data:;base64,${bytes.toString('base64')}`, { maxBytes: bytes.length })).toBe(content)
  })

  it('ends the stream that it cuts', async () => {
    const stream = Readable.from([bytes, bytes])
    await expect(read(stream, { maxBytes: 10 })).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' })
    expect(stream.destroyed).toBe(true)
  })
})

describe('an AbortSignal', () => {
  it('ends the wait for a stream, and the stream', async () => {
    const caller = new AbortController()
    const stream = new PassThrough()
    stream.write('a first byte')
    let cancelled = false
    const web = new ReadableStream({ cancel: () => void (cancelled = true) })
    const reads = [stream, web].map((source) => read(source, { signal: caller.signal }))
    setTimeout(() => caller.abort('enough'), 10)
    for (const outcome of await Promise.allSettled(reads)) {
      expect(outcome).toMatchObject({ reason: { name: 'AbortError', code: 'ABORTED', cause: 'enough' } })
    }
    expect(stream.destroyed).toBe(true)
    expect(cancelled).toBe(true)
    expect(getEventListeners(caller.signal, 'abort')).toEqual([])
  })

  it('that has fired already lets nothing begin', async () => {
    await expect(read('no/such.png', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    })
  })
})

describe('nameOf', () => {
  it.each([
    ['dog.jpg', "The picture 'dog.jpg'"],
    ['https://me:secret@host/dog.jpg?key=secret#x', "The picture 'https://host/dog.jpg'"],
    [new URL('https://host/dog.jpg?key=secret'), "The picture 'https://host/dog.jpg'"],
    ['data:image/png;base64,AAAA', 'The picture in the data: URI'],
    [bytes, 'The picture'],
    ['x'.repeat(300), `The picture '${'x'.repeat(200)}…'`],
  ])('%p', (source, name) => {
    expect(nameOf(source)).toBe(name)
  })
})
