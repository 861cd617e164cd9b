/** Settings: a dialog, kept in the browser; the key only as long as its tab. */
import { byId } from './dom'

export interface Settings {
  readonly system: string
  readonly temperature: number | undefined
  readonly maxTokens: number | undefined
  /** Largest processed area of a picture in pixels. */
  readonly maxPixels: number | undefined
  readonly schema: unknown
  readonly key: string
}

const dialog = byId('settings', HTMLDialogElement)
const fields = {
  system: field('system'),
  temperature: field('temperature'),
  maxTokens: field('maxTokens'),
  maxPixels: field('maxPixels'),
  schema: field('schema'),
  key: field('key'),
}
const place = 'qwenvl-native.settings'

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement

export function readSettings(): Settings {
  const { system, temperature, maxTokens, maxPixels, schema, key } = fields
  return {
    system: system.value.trim(),
    temperature: numberIn(temperature),
    maxTokens: numberIn(maxTokens),
    maxPixels: numberIn(maxPixels),
    schema: schema.value.trim() === '' ? undefined : JSON.parse(schema.value),
    key: key.value,
  }
}

/** @param changed is called whenever the dialog was closed */
export function installSettings(changed: () => void): void {
  restore()
  byId('configure', HTMLButtonElement).onclick = openSettings
  byId('reset', HTMLButtonElement).onclick = () => {
    dialog.querySelector('form')?.reset()
    fields.schema.setCustomValidity('')
  }
  fields.schema.oninput = () => fields.schema.setCustomValidity(problemOf(fields.schema.value))
  dialog.onclose = () => {
    // Esc closes without a check of the form.
    if (problemOf(fields.schema.value) !== '') fields.schema.value = ''
    fields.schema.setCustomValidity('')
    keep()
    changed()
  }
}

export function openSettings(): void {
  dialog.showModal()
}

/** Light or dark: as the system has it, until the button is pressed. */
export function installTheme(): void {
  const { dataset } = document.documentElement
  const kept = localStorage.getItem('qwenvl-native.theme')
  if (kept === 'light' || kept === 'dark') dataset.theme = kept
  byId('theme', HTMLButtonElement).onclick = () => {
    const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
    const theme = (dataset.theme ?? system) === 'dark' ? 'light' : 'dark'
    dataset.theme = theme
    localStorage.setItem('qwenvl-native.theme', theme)
  }
}

function field(name: string): Field {
  const found = dialog.querySelector<Field>(`[name="${name}"]`)
  if (!found) throw new Error(`index.html has no field ${name}`)
  return found
}

function numberIn({ value }: Field): number | undefined {
  return value === '' ? undefined : Number(value)
}

function problemOf(schema: string): string {
  if (schema.trim() === '') return ''
  try {
    JSON.parse(schema)
    return ''
  } catch (error) {
    return `This is no JSON: ${error instanceof Error ? error.message : String(error)}`
  }
}

function keep(): void {
  const { key, ...others } = fields
  const values = Object.entries(others).map(([name, { value }]) => [name, value] as const)
  localStorage.setItem(place, JSON.stringify(Object.fromEntries(values)))
  sessionStorage.setItem(place, key.value)
}

function restore(): void {
  const { key, ...others } = fields
  key.value = sessionStorage.getItem(place) ?? ''
  const kept = JSON.parse(localStorage.getItem(place) ?? '{}') as Readonly<Record<string, unknown>>
  for (const [name, one] of Object.entries(others)) {
    const value = kept[name]
    if (typeof value === 'string') one.value = value
  }
}
