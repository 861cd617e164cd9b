/** Chat templates with the behaviour of the checkpoints' own, in our words; reference.json holds what transformers makes of them. */

/** Qwen2-VL and Qwen2.5-VL: a default system block, no tools. */
export const qwen2vl = `
{%- set images = namespace(n=0) -%}
{%- for message in messages -%}
{%- if loop.first and message['role'] != 'system' -%}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}
{%- endif -%}
<|im_start|>{{ message['role'] }}{{ '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] }}<|im_end|>{{ '\\n' -}}
{%- else -%}
{%- for content in message['content'] -%}
{%- if content['type'] == 'image' or 'image' in content or 'image_url' in content -%}
{%- set images.n = images.n + 1 -%}
{%- if add_vision_id -%}{{- 'Picture ' ~ images.n ~ ': ' -}}{%- endif -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- elif 'text' in content -%}
{{- content['text'] -}}
{%- endif -%}
{%- endfor -%}
<|im_end|>{{ '\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant{{ '\\n' -}}{%- endif -%}`

const render = `
{%- set images = namespace(n=0) -%}
{%- macro render(content) -%}
  {%- if content is string -%}
    {{- content -}}
  {%- else -%}
    {%- for part in content -%}
      {%- if part.type == 'image' or 'image' in part or 'image_url' in part -%}
        {%- set images.n = images.n + 1 -%}
        {%- if add_vision_id -%}{{- 'Picture ' ~ images.n ~ ': ' -}}{%- endif -%}
        {{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
      {%- elif 'text' in part -%}
        {{- part.text -}}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}`

const opening = `
{%- if tools -%}
  {{- '<|im_start|>system\\n' -}}
  {%- if messages[0].role == 'system' -%}{{- render(messages[0].content) + '\\n\\n' -}}{%- endif -%}
  {{- "# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\nYou are provided with function signatures within <tools></tools> XML tags:\\n<tools>" -}}
  {%- for tool in tools -%}{{- "\\n" -}}{{- tool | tojson -}}{%- endfor -%}
  {{- "\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\\n<tool_call>\\n{\\"name\\": <function-name>, \\"arguments\\": <args-json-object>}\\n</tool_call><|im_end|>\\n" -}}
{%- elif messages[0].role == 'system' -%}
  {{- '<|im_start|>system\\n' + render(messages[0].content) + '<|im_end|>\\n' -}}
{%- endif -%}`

const turns = `
{%- for message in messages -%}
  {%- if message.role == 'user' -%}
    {{- '<|im_start|>user\\n' + render(message.content) + '<|im_end|>\\n' -}}
  {%- elif message.role == 'assistant' -%}
    {{- '<|im_start|>assistant\\n' -}}
    {{- ANSWER -}}
    {%- for call in message.tool_calls or [] -%}
      {%- if not loop.first or message.content -%}{{- '\\n' -}}{%- endif -%}
      {%- if call.function -%}{%- set call = call.function -%}{%- endif -%}
      {{- '<tool_call>\\n{"name": "' + call.name + '", "arguments": ' -}}
      {%- if call.arguments is string -%}{{- call.arguments -}}{%- else -%}{{- call.arguments | tojson -}}{%- endif -%}
      {{- '}\\n</tool_call>' -}}
    {%- endfor -%}
    {{- '<|im_end|>\\n' -}}
  {%- elif message.role == 'tool' -%}
    {%- if loop.first or messages[loop.index0 - 1].role != 'tool' -%}{{- '<|im_start|>user' -}}{%- endif -%}
    {{- '\\n<tool_response>\\n' + render(message.content) + '\\n</tool_response>' -}}
    {%- if loop.last or messages[loop.index0 + 1].role != 'tool' -%}{{- '<|im_end|>\\n' -}}{%- endif -%}
  {%- endif -%}
{%- endfor -%}`

const generation = `{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\nOPENING' -}}{%- endif -%}`

/** Qwen3-VL Instruct: no default system block, Hermes tools. */
export const qwen3vl =
  render + opening + turns.replace('ANSWER', 'render(message.content)') + generation.replace('OPENING', '')

/** Qwen3-VL Thinking, simplified: thoughts of earlier answers are not repeated. */
export const qwen3vlThinking =
  render +
  opening +
  turns.replace('ANSWER', "render(message.content).split('</think>')[-1].lstrip('\\n')") +
  generation.replace('OPENING', '<think>\\n')
