"""An agent that knows nothing of looplet: forty lines around the SDK of OpenAI."""

import json

import openai

TOOL = {
    "type": "function",
    "function": {
        "name": "stock",
        "description": "How many pieces of an item are left.",
        "parameters": {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]},
    },
}


def stock(item):
    return {"item": item, "left": 3}


def ask(question):
    client, messages = openai.OpenAI(), [{"role": "user", "content": question}]
    while True:
        reply = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[TOOL])
        said = reply.choices[0].message
        if not said.tool_calls:
            return said.content
        messages.append(said.model_dump(exclude_none=True))
        for wanted in said.tool_calls:
            result = stock(**json.loads(wanted.function.arguments))
            messages.append({"role": "tool", "tool_call_id": wanted.id, "content": json.dumps(result)})
