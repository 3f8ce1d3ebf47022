/* h_t = (1 − g) h_t−1 + g S_t,  S_t = α e_t R_t,  R_ti = ∏_j (1 − β_ij h_t−1,j), and its gradients: all steps of some rows
at a time. Formulas: layers/synapse_rnn.py.

e, h, R, dy, de (N, T, H)   alpha, g (H)   beta (H, H). Compile with -DREAL=float or double. */

#include "synapse_factors.h"

struct forward_job {
    int64_t N, T, H;
    const REAL *e, *alpha, *g;
    const double *tiles;   /* beta, (H / TILE, H, TILE) */
    double *rows;          /* of each thread (ROWS, H) */
    REAL *h, *R;
};

/* ROWS rows. What it writes counts if all |β h| < 1. */
void forward(const struct forward_job *job, int64_t part, int64_t seat)
{
    int64_t T = job->T, H = job->H, first = part * ROWS, count = LEAST(ROWS, job->N - first);
    double *before = job->rows + seat * H * ROWS;
    memset(before, 0, H * ROWS * sizeof(double));
    for (int64_t t = 0; t < T; t++) {
        for (int64_t i = 0; i < H; i += TILE) {
            double_vec mantissa[ROWS * VECTORS];
            long_vec exponent[ROWS * VECTORS] = {0};
            for (int k = 0; k < ROWS * VECTORS; k++) mantissa[k] = (double_vec){0} + 1;
            multiply(H, before, H, (const double_vec *)(job->tiles + i * H), mantissa, exponent);
            for (int64_t r = 0; r < count; r++) {
                REAL R[TILE];
                scaled((double *)mantissa + r * TILE, (int64_t *)exponent + r * TILE, INFINITY, R);
                for (int64_t k = 0, at = ((first + r) * T + t) * H + i; k < LEAST(TILE, H - i); k++, at++) {
                    REAL g = job->g[i + k], h = t ? job->h[at - H] : 0;
                    job->R[at] = R[k];
                    job->h[at] = (1 - g) * h + g * (job->alpha[i + k] * job->e[at] * R[k]);
                }
            }
        }
        for (int64_t r = 0; r < count; r++)
            for (int64_t j = 0; j < H; j++) before[r * H + j] = job->h[((first + r) * T + t) * H + j];
    }
}

struct backward_job {
    int64_t N, T, H, H_up, truncate, chunks, size;
    double tiny; /* what is smaller counts as 0: sums of subnormal numbers take long */
    const REAL *dy, *e, *alpha, *g, *h, *R;
    const REAL *beta;   /* (H_up, H_up) */
    REAL *sums;         /* of each chunk: dbeta (H_up, H_up), dalpha, dg (H_up) */
    REAL *memory;       /* of each chunk, `size` numbers: zeros (H_up), then for each row 2 H_up, 2 LANES */
    REAL *de;
};

/* One row: dh_next, of h_t, becomes that of h_t−1 on the way past the synapse. dg follows dalpha. */
INLINE void through_step(const struct backward_job *job, int64_t at, const REAL *before, int on, REAL *dalpha,
                         REAL *dh_next, REAL *product)
{
    const struct backward_job j = *job;
    const REAL tiny = j.tiny;
    APART for (int64_t i = 0; i < j.H; i++) {
        REAL dh = j.dy[at + i] + dh_next[i], dP = dh * j.g[i] * j.R[at + i], e = j.e[at + i], p = dP * j.alpha[i] * e;
        j.de[at + i] = dP * j.alpha[i];
        dalpha[i] += dP * e;
        dalpha[j.H_up + i] += dh * (j.alpha[i] * e * j.R[at + i] - before[i]);
        dh_next[i] = on ? dh * (1 - j.g[i]) : 0;
        product[i] = (p < tiny) & (p > -tiny) ? 0 : p;
    }
}

/* A chunk of the batch, with sums of its own. */
void backward(const struct backward_job *job, int64_t chunk, int64_t seat)
{
    int64_t T = job->T, H = job->H, H_up = job->H_up, first = job->N * chunk / job->chunks;
    int64_t count = job->N * (chunk + 1) / job->chunks - first;
    REAL *dbeta = job->sums + chunk * H_up * (H_up + 2), *dalpha = dbeta + H_up * H_up;
    REAL *zeros = job->memory + chunk * job->size, *dh_next = zeros + H_up;
    REAL *product = dh_next + count * H_up; /* dS S, that is dy x y of the graph */
    vec *v = (vec *)(product + count * H_up), *dv = v + count;
    for (int64_t t = T - 1; t >= 0; t--) {
        int cut = t == 0 || (job->truncate && (T - t) % job->truncate == 0);
        for (int64_t r = 0; r < count; r++) {
            int64_t at = ((first + r) * T + t) * H;
            through_step(job, at, t ? job->h + at - H : zeros, !cut, dalpha, dh_next + r * H_up, product + r * H_up);
        }
        for (int64_t j = 0; t && j < H; j += LANES) {
            memset(v, 0, 2 * count * sizeof(vec));
            for (int64_t r = 0; r < count; r++) copy(v + r, job->h + ((first + r) * T + t - 1) * H + j, H - j);
            for (int64_t i = 0; i < H; i += UNITS) {
                vec beta[UNITS], sum[UNITS];
                UNROLL for (int k = 0; k < UNITS; k++) beta[k] = *(const vec *)(job->beta + (i + k) * H_up + j);
                quotients(DIVISIONS, count, v, beta, product + i, H_up, dv, sum);
                UNROLL for (int k = 0; k < UNITS; k++) *(vec *)(dbeta + (i + k) * H_up + j) -= sum[k];
            }
            for (int64_t r = 0; r < count && !cut; r++) *(vec *)(dh_next + r * H_up + j) -= dv[r];
        }
    }
}
