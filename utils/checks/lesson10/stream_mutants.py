"""Mistakes of exercise 10.4 as code: streaming with one step replaced."""

from itertools import islice, pairwise


def refuse(messages):
    """Refuse what the task says."""
    if not messages:
        raise ValueError("the conversation is empty: there is nothing to answer")


def all_texts(chunks):
    """The pieces of text, as they come."""
    for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


def streamed(
    refuse=refuse,
    prepare=lambda messages: messages,
    model=lambda model: model,
    options=lambda options: options,
    texts=all_texts,
):
    """Streaming with one step replaced."""

    def mutant(client, name, messages, **given):
        refuse(messages)
        yield from texts(
            client.chat.completions.create(
                model=model(name), messages=prepare(messages), stream=True, **options(given)
            )
        )

    return mutant


def of_each(change=lambda text: text, keep=bool):
    """The pieces, each kept or changed in another way."""

    def texts(chunks):
        for text in all_texts(chunks):
            if keep(text):
                yield change(text)

    return texts


def asserted(messages):
    """Refuse with `assert`."""
    assert messages


def without_a_sentence(messages):
    """Refuse without a word."""
    if not messages:
        raise ValueError


def none_too(chunks):
    """Every piece, `None` among them."""
    for chunk in chunks:
        if chunk.choices:
            yield chunk.choices[0].delta.content


def empty_too(chunks):
    """Every piece, empty ones among them."""
    for chunk in chunks:
        if chunk.choices:
            yield chunk.choices[0].delta.content or ""


def not_none(chunks):
    """Every piece that is not None."""
    for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content is not None:
            yield chunk.choices[0].delta.content


def whatever_comes(chunks):
    """Without a look at anything."""
    for chunk in chunks:
        yield chunk.choices[0].delta.content


def ended_at_once(chunks):
    """End where a chunk has no text."""
    for chunk in chunks:
        found = [*all_texts([chunk])]
        if not found:
            return
        yield from found


def choices_expected(chunks):
    """Take the first choice without a look whether there is one."""
    for chunk in chunks:
        if chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


def ended_without_choices(chunks):
    """End where a chunk has no choices."""
    for chunk in chunks:
        if not chunk.choices:
            return
        yield from all_texts([chunk])


def ended_without_text(chunks):
    """End where a chunk has no text, once the text has begun."""
    begun = False
    for chunk in chunks:
        found = [*all_texts([chunk])]
        if begun and not found:
            return
        begun = begun or bool(found)
        yield from found


def ended_with_a_reason(chunks):
    """End at the finish reason."""
    for chunk in chunks:
        if chunk.choices and chunk.choices[0].finish_reason:
            return
        yield from all_texts([chunk])


def first_skipped(chunks):
    """Leave out the first piece."""
    yield from islice(all_texts(chunks), 1, None)


def last_lost(chunks):
    """Hold each piece back until the next has come."""
    for piece, _ in pairwise(all_texts(chunks)):
        yield piece


def so_far(chunks):
    """All the text so far, again and again."""
    text = ""
    for piece in all_texts(chunks):
        text += piece
        yield text


def at_once(make):
    """A function that does its work when it is called."""

    def mutant(client, model, messages, **options):
        return make(streamed()(client, model, messages, **options))

    return mutant


def sent_at_once(client, model, messages, **options):
    """Ask the server when the function is called."""
    refuse(messages)
    options = {"model": model, "messages": messages, "stream": True} | options
    return all_texts(client.chat.completions.create(**options))


def one_piece(client, model, messages, **options):
    """Ask for the whole answer at once."""
    refuse(messages)
    made = client.chat.completions.create(model=model, messages=messages, **options)
    yield made.choices[0].message.content
