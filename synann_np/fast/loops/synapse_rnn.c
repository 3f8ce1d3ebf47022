/* h_t = (1 − g) h_t−1 + g S_t,  S_t = α e_t R_t,  R_ti = ∏_j (1 − β_ij h_t−1,j), and its gradients: all steps of some rows
at a time. Formulas: layers/synapse_rnn.py.

e, h, R, dy, de (N, T, H)   alpha, g (H)   beta (H, H). Compile with -DREAL=float or double. */

#include "synapse_factors.h"
#include "threads.h"

struct forward_job {
    int64_t N, T, H;
    const REAL *e, *alpha, *g;
    const double *tiles; /* beta, (H / TILE, H, TILE) */
    double *rows, *most; /* rows: of each thread (H, ROWS); most: |h| of each part */
    REAL *h, *R;
};

/* ROWS rows */
static void forward_part(void *of, int64_t part, int64_t seat)
{
    const struct forward_job *job = of;
    int64_t T = job->T, H = job->H, first = part * ROWS, count = LEAST(ROWS, job->N - first);
    double *before = job->rows + seat * H * ROWS, most = 0;
    memset(before, 0, H * ROWS * sizeof(double));
    for (int64_t t = 0; t < T; t++) {
        for (int64_t i = 0; i < H; i += TILE) {
            double_vec mantissa[ROWS * VECTORS];
            long_vec exponent[ROWS * VECTORS] = {0};
            for (int k = 0; k < ROWS * VECTORS; k++) mantissa[k] = (double_vec){0} + 1;
            multiply(H, FACTORS, before, (const double_vec *)(job->tiles + i * H), mantissa, exponent);
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
            for (int64_t j = 0; j < H; j++) {
                double h = before[j * ROWS + r] = job->h[((first + r) * T + t) * H + j];
                most = fabs(h) <= most ? most : fabs(h); /* a NaN stays */
            }
    }
    job->most[part] = most;
}

/* Returns 1; −1 if factors might be 0 or nearly so, and then h and R do not count; 0 if there is no memory. */
int forward(int64_t threads, int64_t N, int64_t T, int64_t H, const REAL *e, const REAL *alpha, const REAL *g,
            const REAL *beta, REAL *h, REAL *R)
{
    int64_t H_up = UP(H, TILE), parts = (N + ROWS - 1) / ROWS;
    double *tiles = aligned(H * H_up * sizeof(double)), *rows = aligned(threads * H * ROWS * sizeof(double));
    double *most = aligned(parts * sizeof(double)), most_h = 0;
    if (!tiles || !rows || !most) return free(tiles), free(rows), free(most), 0;
    for (int64_t i = 0; i < H_up; i++)
        for (int64_t j = 0; j < H; j++) tiles[i / TILE * TILE * H + j * TILE + i % TILE] = i < H ? beta[i * H + j] : 0;
    struct forward_job job = {N, T, H, e, alpha, g, tiles, rows, most, h, R};
    run_parts(forward_part, &job, parts, threads);
    for (int64_t k = 0; k < parts; k++) most_h = most[k] <= most_h ? most_h : most[k];
    free(tiles), free(rows), free(most);
    return most_h * largest(H * H, beta) <= 1 - 0x1p-20 ? 1 : -1;
}

enum { CHUNKS = 8 }; /* of the batch, each with its own sums */

struct backward_job {
    int64_t N, T, H, truncate, H_up;
    const REAL *dy, *e, *alpha, *g, *h, *R;
    const REAL *beta; /* (H_up, H_up) */
    REAL tiny;
    REAL *memory;     /* of each chunk: dbeta (H_up, H_up), dalpha, dg, zeros (H_up), then for each row 2 H_up, 2 LANES */
    int64_t size;
    REAL *de;
};

/* One row: dh_next, of h_t, becomes that of h_t−1 on the way past the synapse. */
static void through_step(int64_t H, const REAL *restrict dy, const REAL *restrict e, const REAL *restrict R,
                         const REAL *restrict before, const REAL *restrict alpha, const REAL *restrict g, int on, REAL tiny,
                         REAL *restrict de, REAL *restrict dalpha, REAL *restrict dg, REAL *restrict dh_next,
                         REAL *restrict product)
{
    for (int64_t i = 0; i < H; i++) {
        REAL dh = dy[i] + dh_next[i], dP = dh * g[i] * R[i], d = dP * alpha[i], p = d * e[i];
        de[i] = d;
        dalpha[i] += dP * e[i];
        dg[i] += dh * (alpha[i] * e[i] * R[i] - before[i]);
        dh_next[i] = on ? dh * (1 - g[i]) : 0;
        product[i] = (p < tiny) & (p > -tiny) ? 0 : p;
    }
}

static void backward_part(void *of, int64_t chunk, int64_t seat)
{
    const struct backward_job *job = of;
    int64_t T = job->T, H = job->H, H_up = job->H_up, first = job->N * chunk / CHUNKS;
    int64_t count = job->N * (chunk + 1) / CHUNKS - first;
    REAL *dbeta = job->memory + chunk * job->size, *dalpha = dbeta + H_up * H_up, *dg = dalpha + H_up, *none = dg + H_up;
    REAL *dh_next = none + H_up, *product = dh_next + count * H_up; /* product: dS S, that is dy x y of the graph */
    vec *v = (vec *)(product + count * H_up), *dv = v + count;
    (void)seat;
    memset(dbeta, 0, job->size * sizeof(REAL));
    for (int64_t t = T - 1; t >= 0; t--) {
        int cut = t == 0 || (job->truncate && (T - t) % job->truncate == 0);
        for (int64_t r = 0; r < count; r++) {
            int64_t at = ((first + r) * T + t) * H;
            through_step(H, job->dy + at, job->e + at, job->R + at, t ? job->h + at - H : none, job->alpha, job->g, !cut,
                         job->tiny, job->de + at, dalpha, dg, dh_next + r * H_up, product + r * H_up);
        }
        for (int64_t j = 0; t && j < H; j += LANES) {
            int64_t lanes = LEAST(LANES, H - j);
            memset(v, 0, 2 * count * sizeof(vec));
            for (int64_t r = 0; r < count; r++) {
                const REAL *h = job->h + ((first + r) * T + t - 1) * H + j;
                if (lanes == LANES) memcpy(v + r, h, sizeof(vec));
                else memcpy(v + r, h, lanes * sizeof(REAL));
            }
            for (int64_t i = 0; i < H; i += UNITS) {
                vec beta[UNITS], sum[UNITS];
                UNROLL for (int k = 0; k < UNITS; k++) beta[k] = *(const vec *)(job->beta + (i + k) * H_up + j);
                quotients(0, count, v, beta, product + i, H_up, dv, sum);
                UNROLL for (int k = 0; k < UNITS; k++) *(vec *)(dbeta + (i + k) * H_up + j) -= sum[k];
            }
            for (int64_t r = 0; r < count && !cut; r++) *(vec *)(dh_next + r * H_up + j) -= dv[r];
        }
    }
}

/* truncate: 0 for none. dalpha, dg (H), dbeta (H, H). 0 if there is no memory. */
int backward(int64_t threads, int64_t N, int64_t T, int64_t H, int64_t truncate, const REAL *dy, const REAL *e,
             const REAL *alpha, const REAL *g, const REAL *beta, const REAL *h, const REAL *R, REAL *de, REAL *dalpha,
             REAL *dg, REAL *dbeta)
{
    int64_t H_up = UP(H, LANES), rows = (N + CHUNKS - 1) / CHUNKS, size = H_up * (H_up + 3) + rows * 2 * (H_up + LANES);
    REAL *memory = aligned(CHUNKS * size * sizeof(REAL)), *padded = aligned(H_up * H_up * sizeof(REAL));
    if (!memory || !padded) return free(memory), free(padded), 0;
    memset(padded, 0, H_up * H_up * sizeof(REAL));
    for (int64_t i = 0; i < H; i++) memcpy(padded + i * H_up, beta + i * H, H * sizeof(REAL));
    REAL tiny = largest(N * T * H, dy) * (REAL)1e-30; /* sums of subnormal numbers take long */
    struct backward_job job = {N, T, H, truncate, H_up, dy, e, alpha, g, h, R, padded, tiny, memory, size, de};
    run_parts(backward_part, &job, CHUNKS, threads);
    for (int chunk = 1; chunk < CHUNKS; chunk++)
        for (int64_t k = 0; k < H_up * (H_up + 2); k++) memory[k] += memory[chunk * size + k];
    for (int64_t i = 0; i < H; i++) memcpy(dbeta + i * H, memory + i * H_up, H * sizeof(REAL));
    memcpy(dalpha, memory + H_up * H_up, H * sizeof(REAL));
    memcpy(dg, memory + H_up * (H_up + 1), H * sizeof(REAL));
    free(memory), free(padded);
    return 1;
}
