/* Maximum pooling without overlap, the batch innermost in memory: x (C, H, W, N), y (C, h, w, N), windows of KH by KW.
won (C, h, w, N): the number of the pixel of a window that won; of equal ones the first, but a NaN before all.
Compile with -DREAL=float or double. */

#include "threads.h"
#include "vectors.h"

struct pool_job {
    int64_t N, H, W, h, w, KH, KW;
    const REAL *in;
    REAL *out;
    uint8_t *won;
};

static void forward_part(void *of, int64_t c, int64_t seat)
{
    const struct pool_job *job = of;
    int64_t N = job->N;
    (void)seat;
    for (int64_t window = 0; window < job->h * job->w; window++) {
        int64_t row = window / job->w * job->KH, column = window % job->w * job->KW;
        const REAL *x = job->in + ((c * job->H + row) * job->W + column) * N;
        REAL *y = job->out + (c * job->h * job->w + window) * N;
        uint8_t *won = job->won + (c * job->h * job->w + window) * N;
        memcpy(y, x, N * sizeof(REAL));
        memset(won, 0, N);
        for (int64_t i = 0; i < job->KH; i++)
            for (int64_t j = i ? 0 : 1; j < job->KW; j++) {
                const REAL *other = x + (i * job->W + j) * N;
                uint8_t number = i * job->KW + j;
                for (int64_t n = 0; n < N; n++) {
                    int better = (other[n] > y[n]) | (other[n] != other[n]);
                    y[n] = better ? other[n] : y[n];
                    won[n] = better ? number : won[n];
                }
            }
    }
}

int forward(int64_t threads, int64_t N, int64_t C, int64_t H, int64_t W, int64_t KH, int64_t KW, const REAL *x, REAL *y,
             uint8_t *won)
{
    struct pool_job job = {N, H, W, H / KH, W / KW, KH, KW, x, y, won};
    run_parts(forward_part, &job, C, threads);
    return 1;
}

static void backward_part(void *of, int64_t c, int64_t seat)
{
    const struct pool_job *job = of;
    int64_t N = job->N;
    (void)seat;
    if (job->H % job->KH || job->W % job->KW) memset(job->out + c * job->H * job->W * N, 0, job->H * job->W * N * sizeof(REAL));
    for (int64_t window = 0; window < job->h * job->w; window++) {
        int64_t row = window / job->w * job->KH, column = window % job->w * job->KW;
        REAL *dx = job->out + ((c * job->H + row) * job->W + column) * N;
        const REAL *dy = job->in + (c * job->h * job->w + window) * N;
        const uint8_t *won = job->won + (c * job->h * job->w + window) * N;
        for (int64_t i = 0; i < job->KH; i++)
            for (int64_t j = 0; j < job->KW; j++) {
                REAL *to = dx + (i * job->W + j) * N;
                uint8_t number = i * job->KW + j;
                for (int64_t n = 0; n < N; n++) to[n] = won[n] == number ? dy[n] : 0;
            }
    }
}

/* dx (C, H, W, N) from dy (C, h, w, N) */
int backward(int64_t threads, int64_t N, int64_t C, int64_t H, int64_t W, int64_t KH, int64_t KW, const REAL *dy,
              const uint8_t *won, REAL *dx)
{
    struct pool_job job = {N, H, W, H / KH, W / KW, KH, KW, dy, dx, (uint8_t *)won};
    run_parts(backward_part, &job, C, threads);
    return 1;
}
