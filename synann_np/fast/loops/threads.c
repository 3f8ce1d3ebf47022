/* A pool of threads that take parts of a job one by one, so that a core that is busy elsewhere is given less to do.

The caller works too, and waits at the end only for parts that were begun: if no other thread wakes up in time, it does
everything itself. One job at a time; a second caller, or a part that calls again, works alone. Threads are started when
they are first needed; where none can be had, the caller works alone. A child of fork starts its own. Between jobs a
thread spins for a moment, as the next layer follows soon, and then sleeps.

Where other programs keep the cores busy, a thread may lose its core in the middle of a part, and all wait for it. After
a short job that took much longer than the work of the caller, callers work alone for a while. */

#define _GNU_SOURCE
#include <pthread.h> /* and with it sched.h and time.h */
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

typedef void part_function(const void *job, int64_t part, int64_t seat);

#if defined(__x86_64__)
#define PAUSE __builtin_ia32_pause() /* leaves the core to its other thread */
#else
#define PAUSE atomic_signal_fence(memory_order_seq_cst)
#endif

enum { SPINS = 20000, STACK = 1 << 20 };
static const double SHORT = 1e-3, NOISE = 3e-4, TIME_ALONE = 0.02; /* seconds */

static pthread_mutex_t callers; /* held by the one whose job it is */
static pthread_mutex_t lock;    /* of everything below */
static pthread_cond_t job_came;
static part_function *work;
static const void *job;
static int64_t parts, seats, taken; /* seats: how many threads may take part, taken: how many do or did */
static _Atomic int64_t next_part;
static _Atomic int inside;          /* threads that work on the job, without the caller */
static _Atomic unsigned jobs;       /* that came so far */
int64_t threads_started;            /* in this process, without those of the callers */
_Atomic double alone_until;         /* in seconds of now(): callers work alone */

/* The job stays what it is while a thread is inside. */
static void take_parts(int64_t seat)
{
    for (int64_t part; (part = atomic_fetch_add(&next_part, 1)) < parts;) work(job, part, seat);
}

static void *thread(void *seen_at_start)
{
    unsigned seen = (unsigned)(uintptr_t)seen_at_start;
    for (;;) {
        for (int k = 0; k < SPINS && atomic_load(&jobs) == seen; k++) PAUSE;
        pthread_mutex_lock(&lock);
        while (jobs == seen) pthread_cond_wait(&job_came, &lock);
        seen = jobs;
        int64_t seat = taken < seats ? taken++ : -1;
        inside += seat >= 0;
        pthread_mutex_unlock(&lock);
        if (seat < 0) continue;
        take_parts(seat);
        inside--;
    }
    return 0;
}

static void start_threads(int64_t wanted)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    if (threads_started >= wanted || pthread_attr_init(&attributes)) return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t id;
    while (threads_started < wanted && !pthread_create(&id, &attributes, thread, (void *)(uintptr_t)jobs)) threads_started++;
    pthread_sigmask(SIG_SETMASK, &before, 0);
    pthread_attr_destroy(&attributes);
}

static double now(clockid_t clock) { struct timespec t; clock_gettime(clock, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }

/* Calls do_part(of, part, seat) once for every part 0 .. count − 1, on at most `threads` threads: see vectors.h. */
void run(part_function *do_part, const void *of, int64_t count, int64_t threads)
{
    threads = threads < count ? threads : count;
    if (threads <= 1 || now(CLOCK_MONOTONIC) < alone_until || pthread_mutex_trylock(&callers)) {
        for (int64_t part = 0; part < count; part++) do_part(of, part, 0);
        return;
    }
    start_threads(threads - 1);
    pthread_mutex_lock(&lock);
    work = do_part, job = of, parts = count, seats = threads, taken = 1, next_part = 0;
    jobs++;
    pthread_cond_broadcast(&job_came);
    pthread_mutex_unlock(&lock);
    double begun = now(CLOCK_MONOTONIC), worked = -now(CLOCK_THREAD_CPUTIME_ID);
    take_parts(0), worked += now(CLOCK_THREAD_CPUTIME_ID);
    pthread_mutex_lock(&lock);
    seats = 0; /* who comes now is too late */
    pthread_mutex_unlock(&lock);
    for (int k = 0; inside; k++) k < SPINS ? PAUSE : (void)sched_yield();
    double done = now(CLOCK_MONOTONIC);
    if (worked < SHORT && done - begun > 2 * worked + NOISE) alone_until = done + TIME_ALONE;
    pthread_mutex_unlock(&callers);
}

static void begin_anew(void)
{
    callers = lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    job_came = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    threads_started = seats = inside = 0, alone_until = 0;
}

__attribute__((constructor)) static void begin(void)
{
    begin_anew();
    pthread_atfork(0, 0, begin_anew);
}
