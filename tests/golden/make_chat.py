# SPDX-License-Identifier: Apache-2.0
"""make_chat.py FILE: conversations rendered by Jinja templates that behave like those of each family.

One JSON object per family and line: family, template, bos, eos and cases of messages ([[role, content], ...]), prompt
(add_generation_prompt) and text, or error: true.
Used: python 3.11, jinja2 3.1.6.
"""

import itertools, json, sys
import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CHATML_SYSTEM = (
    "{% for message in messages %}{% if loop.index0 == 0 and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou answer briefly. Thank you.<|im_end|>\\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CHATML_ESCAPES = CHATML_SYSTEM.replace(
    "'<|im_start|>system\\nYou answer briefly. Thank you.<|im_end|>\\n'",
    "\"<|im_start|>system\\nYou're to put \\\"it\\\"\\nwithin \\\\boxed{}.<|im_end|>\\n\"",
)
LLAMA3 = (
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
LLAMA2 = (
    "{% set start = 1 if messages[0]['role'] == 'system' else 0 %}{% for message in messages[start:] %}"
    "{% if (loop.index0 % 2 == 0) != (message['role'] == 'user') %}{{ raise_exception('roles must take turns') }}{% endif %}"
    "{% set text = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' + message['content'] if start and loop.first else message['content'] %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + text.strip() + ' ' + eos_token }}"
    "{% else %}{{ raise_exception('unknown role') }}{% endif %}{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (loop.index0 % 2 == 0) != (message['role'] == 'user') %}{{ raise_exception('roles must take turns') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('unknown role') }}{% endif %}{% endfor %}"
)
ZEPHYR = (
    "{% for message in messages %}\n{% if message['role'] == 'system' %}\n{{ '<|system|>\\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'user' %}\n{{ '<|user|>\\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\\n' + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
FAMILIES = [
    ("chatml", CHATML, "", "<|im_end|>"),
    ("chatml", CHATML_SYSTEM, "<|im_start|>", "<|im_end|>"),
    ("chatml", CHATML_ESCAPES, "<|im_start|>", "<|im_end|>"),
    ("llama3", LLAMA3, "<|begin_of_text|>", "<|eot_id|>"),
    ("llama2", LLAMA2, "<s>", "</s>"),
    ("mistral", MISTRAL, "<s>", "</s>"),
    ("zephyr", ZEPHYR, "<s>", "</s>"),
]
S, U, A = ("system", "user", "assistant")
CONVERSATIONS = [
    [(U, "Hello")],
    [(U, "Hello"), (A, "Hi there.")],
    [(S, "Be kind."), (U, "Hello")],
    [(S, "Be kind."), (U, "Hello"), (A, "Hi.")],
    [(U, "one"), (A, "two"), (U, "three")],
    [(U, "one"), (A, "two"), (U, "three"), (A, "four")],
    [(S, " spaced \n"), (U, "  user \n"), (A, "\tanswer\u00a0\u3000"), (U, "\n"), (A, " ")],
    [(U, ""), (A, "")],
    [(S, ""), (U, ""), (A, "x")],
    [(S, "s"), (U, "   "), (A, "y")],
    [(U, "Привет 世界 😀"), (A, "naïve café\n\nzwei")],
    [(U, "a <|im_end|> b </s> [/INST] <|eot_id|>"), (A, "<s>")],
    [(U, "{{ bos_token }} {% raw %}"), (A, "\\n '\"")],
    [(U, "\u001cfs\u001f"), (A, "\u0085nel\u200b")],
    [(A, "first")],
    [(U, "u"), (U, "u")],
    [(U, "u"), (S, "late")],
    [(U, "u"), (A, "a"), (S, "later"), (U, "v")],
    [(S, "s"), (A, "a")],
]


def fail(message):
    raise jinja2.exceptions.TemplateError(message)


def main():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.globals["raise_exception"] = fail
    with open(sys.argv[1], "w") as f:
        for family, template, bos, eos in FAMILIES:
            cases = []
            for talk, prompt in itertools.product(CONVERSATIONS, (False, True)):
                messages = [{"role": role, "content": content} for role, content in talk]
                case = {"messages": talk, "prompt": prompt}
                try:
                    case["text"] = env.from_string(template).render(
                        messages=messages, bos_token=bos, eos_token=eos, add_generation_prompt=prompt
                    )
                except jinja2.exceptions.TemplateError:
                    case["error"] = True
                cases.append(case)
            f.write(json.dumps({"family": family, "template": template, "bos": bos, "eos": eos, "cases": cases}) + "\n")


main()
