/* h_t = tanh(driven_t + R h_t−1) and its gradient: all steps of some rows at a time. Formulas: layers/rnn.py.

driven, h, before (h_t−1), dy, da (N, T, H)   matrix (H, H_up). Compile with -DREAL=float or double. */

#include "threads.h"
#include "vectors.h"

enum { ROWS = 6, VECTORS = 2 };
#define TILE (VECTORS * LANES)

typedef __typeof__((vec){0} > (vec){0}) integers;

struct job {
    int64_t N, T, H, H_up, truncate;
    const REAL *in, *matrix; /* in: driven or dy */
    REAL *h, *before, *da;
    REAL *memory;            /* of each thread 2 × (ROWS, H_up) */
};

/* out_rj = Σ_i in_ri matrix_ij of ROWS rows */
INLINE void multiply(const struct job *job, const REAL *in, REAL *out)
{
    int64_t H_up = job->H_up;
    for (int64_t j = 0; j < H_up; j += TILE) {
        vec sum[ROWS][VECTORS];
        UNROLL for (int r = 0; r < ROWS; r++)
            UNROLL for (int k = 0; k < VECTORS; k++) sum[r][k] = (vec){0};
        for (int64_t i = 0; i < job->H; i++) {
            const vec *row = (const vec *)(job->matrix + i * H_up + j);
            UNROLL for (int r = 0; r < ROWS; r++)
                UNROLL for (int k = 0; k < VECTORS; k++) sum[r][k] += in[r * H_up + i] * row[k];
        }
        UNROLL for (int r = 0; r < ROWS; r++)
            UNROLL for (int k = 0; k < VECTORS; k++) *(vec *)(out + r * H_up + j + k * LANES) = sum[r][k];
    }
}

#define CHOOSE(condition, a, b) ((vec)(((condition) & (integers)(a)) | (~(condition) & (integers)(b))))

/* tanh x = (1 − e) / (1 + e) with e = exp −2|x| = 2ⁿ exp r: 1 − e = (1 − 2ⁿ) − 2ⁿ (exp r − 1), exact also for small x */
INLINE vec hyperbolic_tangent(vec x)
{
    const int digits = sizeof(REAL) == 4 ? 23 : 52, terms = sizeof(REAL) == 4 ? 8 : 14;
    const REAL round = (REAL)1.5 * ((int64_t)1 << digits), log_2 = (REAL)0.69314718055994530942;
    vec size = CHOOSE(x < 0, -x, x), limit = (vec){0} + 40, most = CHOOSE(size > limit, limit, size);
    vec n = -2 * most * (REAL)1.44269504088896340736 + round;
    integers power = ((integers)n << digits) + (integers)((vec){0} + 1);
    vec r = -2 * most - (n - round) * log_2, term = (vec){0} + 1;
    for (int k = terms; k > 1; k--) term = 1 + term * r / (REAL)k;
    vec two_n = (vec)power, gap = (1 - two_n) - two_n * (term * r), y = gap / (2 - gap);
    return CHOOSE(x < 0, -y, y);
}

static void forward_part(void *of, int64_t part, int64_t seat)
{
    const struct job *job = of;
    int64_t T = job->T, H = job->H, H_up = job->H_up, first = part * ROWS, count = LEAST(ROWS, job->N - first);
    REAL *h = job->memory + seat * 2 * ROWS * H_up, *a = h + ROWS * H_up;
    memset(h, 0, ROWS * H_up * sizeof(REAL));
    for (int64_t t = 0; t < T; t++) {
        multiply(job, h, a);
        for (int64_t r = 0; r < count; r++) {
            int64_t at = ((first + r) * T + t) * H;
            memcpy(job->before + at, h + r * H_up, H * sizeof(REAL));
            for (int64_t i = 0; i < H; i++) a[r * H_up + i] += job->in[at + i];
            for (int64_t i = 0; i < H_up; i += LANES) *(vec *)(h + r * H_up + i) = hyperbolic_tangent(*(vec *)(a + r * H_up + i));
            memcpy(job->h + at, h + r * H_up, H * sizeof(REAL));
        }
    }
}

static void backward_part(void *of, int64_t part, int64_t seat)
{
    const struct job *job = of;
    int64_t T = job->T, H = job->H, H_up = job->H_up, first = part * ROWS, count = LEAST(ROWS, job->N - first);
    REAL *da = job->memory + seat * 2 * ROWS * H_up, *sent = da + ROWS * H_up;
    memset(da, 0, 2 * ROWS * H_up * sizeof(REAL));
    for (int64_t t = T - 1; t >= 0; t--) {
        for (int64_t r = 0, at; r < count; r++) {
            at = ((first + r) * T + t) * H;
            for (int64_t i = 0; i < H; i++)
                da[r * H_up + i] = (job->in[at + i] + sent[r * H_up + i]) * (1 - job->h[at + i] * job->h[at + i]);
            memcpy(job->da + at, da + r * H_up, H * sizeof(REAL));
        }
        if (job->truncate && (T - t) % job->truncate == 0) memset(sent, 0, ROWS * H_up * sizeof(REAL));
        else multiply(job, da, sent);
    }
}

/* Forward: matrix (H, H) is R transposed, backward: R. truncate: 0 for none. 0 if there is no memory. */
static int run_rows(part_function *work, struct job job, int64_t threads, const REAL *matrix)
{
    int64_t H = job.H, H_up = job.H_up = UP(H, TILE);
    REAL *padded = aligned(H * H_up * sizeof(REAL));
    job.memory = aligned(threads * 2 * ROWS * H_up * sizeof(REAL)), job.matrix = padded;
    if (!padded || !job.memory) return free(padded), free(job.memory), 0;
    memset(padded, 0, H * H_up * sizeof(REAL));
    for (int64_t i = 0; i < H; i++) memcpy(padded + i * H_up, matrix + i * H, H * sizeof(REAL));
    run_parts(work, &job, (job.N + ROWS - 1) / ROWS, threads);
    free(padded), free(job.memory);
    return 1;
}

int forward(int64_t threads, int64_t N, int64_t T, int64_t H, const REAL *driven, const REAL *matrix, REAL *h, REAL *before)
{
    return run_rows(forward_part, (struct job){.N = N, .T = T, .H = H, .in = driven, .h = h, .before = before}, threads, matrix);
}

int backward(int64_t threads, int64_t N, int64_t T, int64_t H, int64_t truncate, const REAL *dy, const REAL *matrix,
             REAL *h, REAL *da)
{
    struct job job = {.N = N, .T = T, .H = H, .truncate = truncate, .in = dy, .h = h, .da = da};
    return run_rows(backward_part, job, threads, matrix);
}
