"""How long somebody who files objects has to wait for his turn to write into the catalog."""

import sqlite3
import threading
import time

STEP = 0.001


class Turn:
    """Asks for the turn again and again, gives it back at once, and remembers the longest wait."""

    def __init__(self, catalog):
        self.catalog = catalog
        self.longest = 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        db = sqlite3.connect(self.catalog, timeout=0, isolation_level=None)
        since = time.monotonic()
        while not self.over.is_set():
            try:
                db.execute("BEGIN IMMEDIATE")
                self.longest = max(self.longest, time.monotonic() - since)
                db.execute("ROLLBACK")
                time.sleep(STEP)
                since = time.monotonic()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                time.sleep(STEP)
        db.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
