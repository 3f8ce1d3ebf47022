// Just enough of CUDA C++ to run the kernels of synann_np/fast/cuda on a CPU, compiled by an ordinary C++ compiler.
//
// Every thread of a block is a fiber with a stack of its own. A fiber runs until it reaches a barrier; when all threads
// of the block (or of the warp, for shuffles) stand at the same one, all go on. Blocks run one after the other. Threads
// take turns in one of three orders, chosen by the caller: a kernel that lacks a barrier depends on the order.
//
// Shared memory is filled with bytes of 255 (NaN) before every block. A barrier that some threads never reach, or that
// is not the same one for all, ends the launch with a message. Numbers below the normal range are flushed to 0, as with
// -ftz=true.

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("emulated_shared")))

using std::exp;
using std::fabs;
using std::frexp;
using std::ldexp;
using std::log;
using std::max;
using std::min;
using std::sqrt;
using std::tanh;

// So that the section is there even if no kernel has shared memory.
__shared__ char nothing_shared __attribute__((used));
extern char __start_emulated_shared[], __stop_emulated_shared[];

namespace emulator {

struct Index {
    unsigned x, y, z;
};

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

const int MAX_THREADS = 1024, WARP = 32, STACK = 128 * 1024;

struct Fiber {
    jmp_buf resume;
    State state;
    int line;    // of the barrier where it waits
    int parity;  // of the number of shuffles so far
};

Fiber fibers[MAX_THREADS];
char *stacks = nullptr;
double exchange[MAX_THREADS / WARP][2][WARP];  // what lanes show each other
jmp_buf scheduler;
int current;
void (*body)(void **);
void **arguments;
char message[200];

}  // namespace emulator

static emulator::Index threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

inline void wait(State state, int line)
{
    Fiber &fiber = fibers[current];
    fiber.state = state;
    fiber.line = line;
    if (_setjmp(fiber.resume) == 0) _longjmp(scheduler, 1);
}

inline void fiber_main()
{
    for (;;) {
        body(arguments);
        wait(DONE, 0);
    }
}

inline void resume(int thread)
{
    current = thread;
    threadIdx = {(unsigned)thread, 0, 0};
    if (_setjmp(scheduler) == 0) _longjmp(fibers[thread].resume, 1);
}

// First entry into a fiber: ucontext gives it its stack; from then on jumps are enough and cost no system call.
inline void enter(int thread)
{
    static ucontext_t here, there;
    current = thread;
    threadIdx = {(unsigned)thread, 0, 0};
    getcontext(&there);
    there.uc_stack.ss_sp = stacks + (size_t)thread * STACK;
    there.uc_stack.ss_size = STACK;
    there.uc_link = nullptr;
    makecontext(&there, fiber_main, 0);
    if (_setjmp(scheduler) == 0) swapcontext(&here, &there);
}

inline bool all_wait(int first, int count, State state)
{
    for (int t = first; t < first + count; t++)
        if (fibers[t].state != state || fibers[t].line != fibers[first].line) return false;
    return true;
}

inline bool release(int first, int count, State state)
{
    if (!all_wait(first, count, state)) return false;
    for (int t = first; t < first + count; t++) fibers[t].state = READY;
    return true;
}

inline bool run_block(const std::vector<int> &order, bool first_block)
{
    int threads = (int)order.size();
    memset(__start_emulated_shared, 255, __stop_emulated_shared - __start_emulated_shared);
    for (int t = 0; t < threads; t++) fibers[t].state = READY, fibers[t].parity = 0;
    for (bool fresh = first_block;; fresh = false) {
        for (int thread : order)
            if (fibers[thread].state == READY) fresh ? enter(thread) : resume(thread);
        if (all_wait(0, threads, DONE)) return true;
        bool moved = release(0, threads, AT_BLOCK_BARRIER);
        for (int t = 0; !moved && t < threads; t += WARP)
            for (; t < threads; t += WARP) moved |= release(t, WARP, AT_WARP_BARRIER);
        if (moved) continue;
        for (int t = 0; t < threads; t++) {
            if (fibers[t].state != fibers[0].state || fibers[t].line != fibers[0].line) {
                snprintf(message, sizeof message, "block (%u, %u): thread %d waits at line %d, thread 0 at line %d",
                         blockIdx.x, blockIdx.y, t, fibers[t].line, fibers[0].line);
                break;
            }
        }
        return false;
    }
}

inline const char *launch(void (*kernel)(void **), int grid_x, int grid_y, int threads, int order_of_threads,
                          void **args)
{
    message[0] = 0;
    if (threads % WARP != 0 || threads > MAX_THREADS) return "a block must be whole warps, 1024 threads at most";
    if (!stacks) stacks = (char *)malloc((size_t)MAX_THREADS * STACK);
    body = kernel;
    arguments = args;
    gridDim = {(unsigned)grid_x, (unsigned)grid_y, 1};
    blockDim = {(unsigned)threads, 1, 1};
    std::vector<int> order(threads);
    for (int t = 0; t < threads; t++)
        order[t] = order_of_threads == 0 ? t : order_of_threads == 1 ? threads - 1 - t : (t * 37 + 11) % threads;
    if (order_of_threads == 2 && threads % 37 == 0) return "37 must not divide the number of threads";
#if defined(__SSE__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
#endif
    bool finished = true;
    for (int y = 0; y < grid_y && finished; y++)
        for (int x = 0; x < grid_x && finished; x++) {
            blockIdx = {(unsigned)x, (unsigned)y, 0};
            finished = run_block(order, x == 0 && y == 0);
        }
#if defined(__SSE__)
    _mm_setcsr(before);
#endif
    return finished ? nullptr : message;
}

template <class T>
T shuffle_xor(T value, int mask, int line)
{
    static_assert(sizeof(T) <= sizeof(double), "a lane shows 8 bytes");
    Fiber &fiber = fibers[current];
    int lane = current % WARP;
    double(&slots)[WARP] = exchange[current / WARP][fiber.parity];
    memcpy(&slots[lane], &value, sizeof value);
    fiber.parity ^= 1;
    wait(AT_WARP_BARRIER, line);
    memcpy(&value, &slots[lane ^ mask], sizeof value);
    return value;
}

// Calls kernel(A...) with arguments behind pointers, as CUDA's own launch function takes them.
template <class... A>
struct Call {
    template <void (*kernel)(A...), size_t... k>
    static void with(void **args, std::index_sequence<k...>)
    {
        kernel(*(A *)args[k]...);
    }
    template <void (*kernel)(A...)>
    static void body(void **args)
    {
        with<kernel>(args, std::index_sequence_for<A...>());
    }
};
template <class... A>
Call<A...> call_of(void (*)(A...));

}  // namespace emulator

#define __syncthreads() emulator::wait(emulator::AT_BLOCK_BARRIER, __LINE__)
#define __shfl_xor_sync(mask, value, distance) emulator::shuffle_xor(value, distance, __LINE__)
#define ENTRY(name)                                                                                         \
    extern "C" const char *emulate_##name(int grid_x, int grid_y, int threads, int order, void **arguments) \
    {                                                                                                       \
        return emulator::launch(decltype(emulator::call_of(name))::body<name>, grid_x, grid_y, threads,     \
                                order, arguments);                                                          \
    }

template <class To, class From>
inline To same_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "of one size");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
inline int __float_as_int(float x) { return same_bits<int>(x); }
inline float __int_as_float(int x) { return same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
inline float __fdividef(float x, float y) { return fabs(y) > 0x1p126f ? 0 * x : x / y; }  // CUDA's may be 0 there
