"""A worker in processes whose handler says something in every way. `talker.py QUEUE`."""

import logging
import sys

from tasklane import CTX, App

app = App()


@app.task()
def talk(word, *, ctx=CTX):
    print("printed", word)
    logging.info("logged %s", word)
    ctx.log(f"said {word}")
    ctx.checkpoint("kept", "kept")
    if ctx.attempt == 1:
        raise ValueError("again")
    return [ctx.checkpoints["kept"]]


@app.task(max_attempts=1)
def halves(*, ctx=CTX):
    half = "\ud800"
    try:
        raise ValueError(f"half {half}")
    except ValueError:
        logging.exception("logged %s", half)
    ctx.log(f"said {half}", half=half)
    ctx.progress(message=half)
    refused = []
    for say in (lambda: ctx.progress(data=half), lambda: ctx.checkpoint("a", half), lambda: ctx.checkpoint(half, 1)):
        try:
            say()
        except ValueError as error:
            refused.append(str(error).split()[0])
    return refused


if __name__ == "__main__":
    app.run(concurrency=1, mode="processes", queues=sys.argv[1:])
