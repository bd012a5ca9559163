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


if __name__ == "__main__":
    app.run(concurrency=1, mode="processes", queues=sys.argv[1:])
