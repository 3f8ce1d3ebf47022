/* How a kernel deals its work out to threads. The pool itself is threads.c; Python puts it into `run_parts`.

run_parts(work, job, parts, threads) calls work(job, part, seat) once for every part 0 .. parts − 1, on at most `threads`
threads, and returns when all are done. Which thread takes which part is left to chance, so a part writes to places of
its own, and sums over parts are added afterwards in the order of the parts: results do not depend on the threads.
seat, 0 .. threads − 1, is the number of the thread, for scratch memory. */

#include <stdint.h>

typedef void part_function(void *job, int64_t part, int64_t seat);

static void one_after_the_other(part_function *work, void *job, int64_t parts, int64_t threads)
{
    (void)threads;
    for (int64_t part = 0; part < parts; part++) work(job, part, 0);
}

void (*run_parts)(part_function *, void *, int64_t, int64_t) = one_after_the_other;
