"""A page to chat with a model in the browser, by Gradio.

    pip install tercet gradio
    python chat_page.py [MODEL]          # such as bitnet-2b
"""

import sys
from collections.abc import Iterator
from typing import Any

import gradio

import tercet


def text_of(content: Any) -> str:
    """Returns the text of a message, which Gradio gives as a text or in parts."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def page(name: str) -> Any:
    """Returns a page for the model called ``name``."""
    model, _ = tercet.load_model(name)

    def answer(question: str, history: list[dict[str, Any]]) -> Iterator[str]:
        chat = tercet.Chat(model)
        for turn in history:
            chat.messages.append({"role": turn["role"], "content": text_of(turn["content"])})
        said = ""
        for piece in chat.stream(question, 300):
            said += piece
            yield said

    return gradio.ChatInterface(answer, title=f"Chat with {model.name}")


if __name__ == "__main__":
    page(sys.argv[1] if len(sys.argv) > 1 else "fairy-tales").launch()
