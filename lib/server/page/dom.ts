/** Elements: found by their id, or made with their contents. Texts are texts, never HTML. */

/** @throws Error if index.html has no such element */
export function byId<Type extends HTMLElement>(id: string, type: new () => Type): Type {
  const found = document.getElementById(id)
  if (found instanceof type) return found
  throw new Error(`index.html has no ${type.name} #${id}`)
}

export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]> = {},
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[Name] {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}

const svg = 'http://www.w3.org/2000/svg'

/** An element of SVG with its attributes. */
export function drawing(name: string, attributes: Readonly<Record<string, string>>): SVGElement {
  const made = document.createElementNS(svg, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  return made
}

/** One of the symbols in index.html. */
export function icon(name: string): SVGElement {
  const made = drawing('svg', { 'aria-hidden': 'true' })
  made.append(drawing('use', { href: `#icon-${name}` }))
  return made
}

/** A button that shows an icon and tells its name. */
export function iconButton(name: string, label: string, onclick: () => void): HTMLButtonElement {
  const button = element('button', { type: 'button', title: label, ariaLabel: label, onclick })
  button.append(icon(name))
  return button
}
