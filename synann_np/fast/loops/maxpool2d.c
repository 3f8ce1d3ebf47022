/* Maximum pooling without overlap, the batch innermost in memory: x (C, H, W, N), y (C, h, w, N), windows of KH by KW.
won (C, h, w, N): the number of the pixel of a window that won; of equal ones the first, but a NaN before all.
Compile with -DREAL=float or double. */

#include "vectors.h"

struct job {
    int64_t N, H, W, KH, KW, backward;
    REAL *x, *y; /* backward: dx, dy */
    uint8_t *won;
};

/* One row of windows of one channel. */
void pool(const struct job *job, int64_t part, int64_t seat)
{
    int64_t N = job->N, KH = job->KH, KW = job->KW, h = job->H / KH, w = job->W / KW;
    REAL *top = job->x + (part / h * job->H + part % h * KH) * job->W * N;
    for (int64_t column = 0; column < w; column++) {
        REAL *y = job->y + (part * w + column) * N;
        uint8_t *won = job->won + (part * w + column) * N;
        if (!job->backward) memcpy(y, top + column * KW * N, N * sizeof(REAL)), memset(won, 0, N);
        for (int64_t k = 0; k < KH * KW; k++) {
            REAL *x = top + (k / KW * job->W + column * KW + k % KW) * N;
            uint8_t number = k;
            if (job->backward)
                for (int64_t n = 0; n < N; n++) x[n] = won[n] == number ? y[n] : 0;
            else
                for (int64_t n = 0; n < N; n++) {
                    int better = (x[n] > y[n]) | (x[n] != x[n]);
                    y[n] = better ? x[n] : y[n];
                    won[n] = better ? number : won[n];
                }
        }
    }
}
