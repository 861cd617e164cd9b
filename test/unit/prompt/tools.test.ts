/** Tools as text, for templates that know none: what the generations were trained on, word for word. */
import { image, system, user } from '../../../lib/prompt/messages'
import type { Message } from '../../../lib/prompt/messages'
import { normaliseMessages } from '../../../lib/prompt/normalise'
import { ChatTemplate } from '../../../lib/prompt/template'
import type { ToolForm } from '../../../lib/generations'
import * as templates from './templates'

const control = ['<|im_start|>', '<|im_end|>', '<|vision_start|>', '<|vision_end|>', '<|image_pad|>'].map(
  (text, id) => ({ id, text }),
)
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_date',
      description: 'Tells the date.',
      parameters: { type: 'object', properties: { zone: { type: 'string' }, n: { type: 'integer' } } },
    },
  },
  { type: 'function', function: { name: 'stop' } },
] as const

function render(
  form: ToolForm,
  messages: readonly Message[],
  given: typeof tools | readonly [] = tools,
): string {
  const template = new ChatTemplate(templates.qwen2vl, control, form)
  return template.render(normaliseMessages(messages), { tools: given }).text
}

const call = (name: string, args: string | Record<string, unknown>) => ({
  id: 'x',
  function: { name, arguments: args },
})
const asked: Message[] = [system('Be brief.'), user('Which day?')]
const called: Message[] = [
  ...asked,
  {
    role: 'assistant',
    content: 'I look.',
    tool_calls: [call('get_date', { zone: 'UTC', n: null }), call('stop', '{}')],
  },
  { role: 'tool', content: 'Monday' },
  { role: 'tool', content: ['a map ', image('map.png')] },
]

const hermesTools = `# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "get_date", "description": "Tells the date.", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}, "n": {"type": "integer"}}}}}
{"type": "function", "function": {"name": "stop"}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>`

describe('Hermes, as Qwen-Agent tells Qwen2.5-VL', () => {
  test('definitions, calls and results', () => {
    expect(render('hermes', called)).toBe(`<|im_start|>system
Be brief.

${hermesTools}<|im_end|>
<|im_start|>user
Which day?<|im_end|>
<|im_start|>assistant
I look.
<tool_call>
{"name": "get_date", "arguments": {"zone": "UTC", "n": null}}
</tool_call>
<tool_call>
{"name": "stop", "arguments": {}}
</tool_call><|im_end|>
<|im_start|>user
<tool_response>
Monday
</tool_response>
<tool_response>
a map <|vision_start|><|image_pad|><|vision_end|>
</tool_response><|im_end|>
<|im_start|>assistant
`)
  })

  test('without a system message', () => {
    expect(render('hermes', [user('Hi')])).toBe(
      `<|im_start|>system\n${hermesTools}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n`,
    )
  })
})

describe('XML, as the template of Qwen3.5 tells it', () => {
  test('calls and results', () => {
    const text = render('xml', called)
    expect(text).toContain(
      '</IMPORTANT>\n\nBe brief.<|im_end|>\n<|im_start|>user\nWhich day?<|im_end|>\n<|im_start|>assistant\nI look.\n' +
        '<tool_call>\n<function=get_date>\n<parameter=zone>\nUTC\n</parameter>\n<parameter=n>\nnull\n</parameter>\n' +
        '</function>\n</tool_call>\n<tool_call>\n<function=stop>\n</function>\n</tool_call><|im_end|>\n' +
        '<|im_start|>user\n<tool_response>\nMonday\n</tool_response>\n<tool_response>\na map ',
    )
  })
})

const agentTools = `# Tools

## You have access to the following tools:

### get_date

get_date: Tells the date. Parameters: {"type": "object", "properties": {"zone": {"type": "string"}, "n": {"type": "integer"}}} Format the arguments as a JSON object.

### stop

stop:  Parameters: {} Format the arguments as a JSON object.

## When you need to call a tool, please insert the following command in your reply, which can be called zero or multiple times according to your needs:

✿FUNCTION✿: The tool to use, should be one of [get_date,stop]
✿ARGS✿: The input of the tool
✿RESULT✿: Tool results
✿RETURN✿: Reply based on tool results. Images need to be rendered as ![](url)`

describe('Qwen-Agent, of Qwen2-VL', () => {
  test('results stand in the answer, which is gone on with', () => {
    expect(render('qwen-agent', called)).toBe(`<|im_start|>system
Be brief.

${agentTools}<|im_end|>
<|im_start|>user
Which day?<|im_end|>
<|im_start|>assistant
I look.
✿FUNCTION✿: get_date
✿ARGS✿: {"zone": "UTC", "n": null}
✿FUNCTION✿: stop
✿ARGS✿: {}
✿RESULT✿: Monday
✿RESULT✿: a map <|vision_start|><|image_pad|><|vision_end|>
✿RETURN✿`)
  })

  test('an answer behind results ends its turn', () => {
    const said: Message[] = [...called, { role: 'assistant', content: 'Monday.' }, user('Sure?')]
    expect(render('qwen-agent', said)).toContain(
      '<|vision_end|>\n✿RETURN✿: Monday.<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n',
    )
  })

  test('calls, results and calls again are one answer', () => {
    const said: Message[] = [
      ...asked,
      { role: 'assistant', content: null, tool_calls: [call('get_date', {})] },
      { role: 'tool', content: 'Monday' },
      { role: 'assistant', content: null, tool_calls: [call('stop', {})] },
      { role: 'tool', content: 'stopped' },
    ]
    expect(render('qwen-agent', said)).toContain(
      'assistant\n✿FUNCTION✿: get_date\n✿ARGS✿: {}\n✿RESULT✿: Monday\n✿RETURN✿: \n✿FUNCTION✿: stop\n✿ARGS✿: {}\n✿RESULT✿: stopped\n✿RETURN✿',
    )
  })

  test('a result without its call is refused by its place', () => {
    expect(() => render('qwen-agent', [user('Hi'), { role: 'tool', content: 'Monday' }])).toThrow(
      /messages\[1\]/,
    )
  })
})

test.each(['hermes', 'xml', 'qwen-agent'] as const)(
  'calls and results stay readable without the tools (%s)',
  (form) => {
    const text = render(form, called, [])
    expect(text).not.toContain('# Tools')
    expect(text).toContain('get_date')
    expect(text).toContain('Monday')
  },
)

test('a template that knows tools gets them, and arguments that it can print', () => {
  const xml = new ChatTemplate(templates.qwen3vl, control, 'xml')
  const { text } = xml.render(normaliseMessages(called), { tools })
  expect(text).toContain('{"name": "get_date", "arguments": {"zone": "UTC", "n": "null"}}')
  expect(() =>
    xml.render(
      normaliseMessages([user('x'), { role: 'assistant', content: null, tool_calls: [call('f', '[1]')] }]),
    ),
  ).toThrow(/arguments of f/)
})
