/* Convolution of stride 1 and its gradients, the batch innermost in memory. Formulas: conv2d.py.

x (C, H, W, N)   weight (F, C, KH, KW)   y (F, H', W', N) with H' = H + 2 PH − KH + 1. Compile with -DREAL=float or double.

For a fixed (c, i, j) the pixels that a row of outputs reads are one run of W' N numbers, shifted by (j − PW) N: so no
columns are laid out but for a few vectors of outputs at a time. */

#include "threads.h"
#include "vectors.h"

enum { FILTERS = REGISTERS == 32 ? 12 : 6, VECTORS = 2, TILES = 4, UNITS = 4, TERMS = 3, CHANNELS = 4, SEGMENT = 512 };
#define TILE (VECTORS * LANES)
#define STRIP (TILES * TILE) /* outputs whose pixels are gathered at a time */

struct forward_job {
    int64_t N, C, H, W, F, KH, KW, PH, PW, strips;
    const REAL *x, *weight, *bias; /* weight (F / FILTERS, C KH KW, FILTERS) */
    REAL *panels, *y;              /* panels: of each thread (TILES, C KH KW, TILE) */
};

/* panel_t,k,l = the pixel that term k = (c, i, j) of output `start` + t TILE + l of row h reads; 0 outside the image */
static void gather(const struct forward_job *job, int64_t h, int64_t start, int64_t count, REAL *panel)
{
    int64_t K = job->C * job->KH * job->KW, k = 0, run = job->W * job->N;
    for (int64_t c = 0; c < job->C; c++)
        for (int64_t i = 0; i < job->KH; i++) {
            int64_t row = h + i - job->PH;
            int inside = row >= 0 && row < job->H;
            const REAL *x = job->x + (c * job->H + (inside ? row : 0)) * run;
            for (int64_t j = 0; j < job->KW; j++, k++) {
                int64_t from = start + (j - job->PW) * job->N;
                for (int64_t t = 0; t * TILE < count; t++, from += TILE) {
                    REAL *to = panel + (t * K + k) * TILE;
                    if (inside && from >= 0 && from + TILE <= run) memcpy(to, x + from, TILE * sizeof(REAL));
                    else for (int64_t l = 0; l < TILE; l++)
                        to[l] = inside && from + l >= 0 && from + l < run ? x[from + l] : 0;
                }
            }
        }
}

/* y_fl = bias_f + Σ_k weight_kf panel_kl for FILTERS filters and a tile of outputs */
INLINE void multiply(int64_t K, const REAL *weight, const vec *panel, vec y[FILTERS][VECTORS])
{
    vec sum[FILTERS][VECTORS];
    UNROLL for (int f = 0; f < FILTERS; f++)
        UNROLL for (int v = 0; v < VECTORS; v++) sum[f][v] = (vec){0};
    for (int64_t k = 0; k < K; k++, weight += FILTERS, panel += VECTORS)
        UNROLL for (int f = 0; f < FILTERS; f++)
            UNROLL for (int v = 0; v < VECTORS; v++) sum[f][v] += weight[f] * panel[v];
    UNROLL for (int f = 0; f < FILTERS; f++)
        UNROLL for (int v = 0; v < VECTORS; v++) y[f][v] = sum[f][v];
}

static void forward_part(void *of, int64_t part, int64_t seat)
{
    const struct forward_job *job = of;
    int64_t K = job->C * job->KH * job->KW, HH = job->H + 2 * job->PH - job->KH + 1;
    int64_t run = (job->W + 2 * job->PW - job->KW + 1) * job->N, h = part / job->strips;
    int64_t start = part % job->strips * STRIP, count = LEAST(STRIP, run - start);
    REAL *panel = job->panels + seat * K * STRIP;
    gather(job, h, start, count, panel);
    for (int64_t first = 0; first < job->F; first += FILTERS)
        for (int64_t t = 0; t * TILE < count; t++) {
            vec sum[FILTERS][VECTORS];
            multiply(K, job->weight + first * K, (const vec *)(panel + t * K * TILE), sum);
            int64_t some = LEAST(TILE, count - t * TILE);
            for (int64_t f = 0; f < LEAST(FILTERS, job->F - first); f++) {
                REAL *y = job->y + ((first + f) * HH + h) * run + start + t * TILE, *z = (REAL *)sum[f];
                REAL bias = job->bias ? job->bias[first + f] : 0;
                for (int64_t l = 0; l < some; l++) y[l] = z[l] + bias;
            }
        }
}

/* flipped: y is dx of a convolution whose dy is x; weight then is (C, F, KH, KW), and is turned round. 0 if there is no
memory. */
int forward(int64_t threads, int64_t flipped, int64_t N, int64_t C, int64_t H, int64_t W, int64_t F, int64_t KH,
            int64_t KW, int64_t PH, int64_t PW, const REAL *x, const REAL *weight, const REAL *bias, REAL *y)
{
    int64_t K = C * KH * KW, HH = H + 2 * PH - KH + 1, run = (W + 2 * PW - KW + 1) * N;
    REAL *packed = aligned(UP(F, FILTERS) * K * sizeof(REAL)), *panels = aligned(threads * K * STRIP * sizeof(REAL));
    if (!packed || !panels) return free(packed), free(panels), 0;
    memset(packed, 0, UP(F, FILTERS) * K * sizeof(REAL));
    for (int64_t f = 0; f < F; f++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t ij = 0; ij < KH * KW; ij++)
                packed[(f / FILTERS * K + c * KH * KW + ij) * FILTERS + f % FILTERS] =
                    flipped ? weight[(c * F + f) * KH * KW + KH * KW - 1 - ij] : weight[(f * C + c) * KH * KW + ij];
    int64_t strips = (run + STRIP - 1) / STRIP;
    struct forward_job job = {N, C, H, W, F, KH, KW, PH, PW, strips, x, packed, bias, panels, y};
    run_parts(forward_part, &job, HH * strips, threads);
    free(packed), free(panels);
    return 1;
}

struct gradient_job {
    int64_t N, C, H, W, F, KH, KW;
    const REAL *x, *dy;
    vec *sums;             /* of each thread (F up, terms up) */
    REAL *dweight;
};

/* sum_fk += Σ_l dy_fl x_k,l for UNITS filters and TERMS terms, l in vectors, the rest one by one */
INLINE void dot(int64_t length, const REAL *const dy[UNITS], const REAL *const x[TERMS], vec *sums, int64_t row)
{
    vec sum[UNITS][TERMS];
    UNROLL for (int f = 0; f < UNITS; f++)
        UNROLL for (int k = 0; k < TERMS; k++) sum[f][k] = sums[f * row + k];
    int64_t l = 0;
    for (; l + LANES <= length; l += LANES) {
        vec d[UNITS], p[TERMS];
        UNROLL for (int f = 0; f < UNITS; f++) memcpy(d + f, dy[f] + l, sizeof(vec));
        UNROLL for (int k = 0; k < TERMS; k++) memcpy(p + k, x[k] + l, sizeof(vec));
        UNROLL for (int f = 0; f < UNITS; f++)
            UNROLL for (int k = 0; k < TERMS; k++) sum[f][k] += d[f] * p[k];
    }
    UNROLL for (int f = 0; f < UNITS; f++)
        UNROLL for (int k = 0; k < TERMS; k++) {
            for (int64_t rest = l; rest < length; rest++) sum[f][k][rest - l] += dy[f][rest] * x[k][rest];
            sums[f * row + k] = sum[f][k];
        }
}

/* dweight of CHANNELS channels, all filters: one part */
static void gradient_part(void *of, int64_t part, int64_t seat)
{
    const struct gradient_job *job = of;
    int64_t F = job->F, first = part * CHANNELS, channels = LEAST(CHANNELS, job->C - first), window = job->KH * job->KW;
    int64_t K = channels * window, K_up = UP(K, TERMS), F_up = UP(F, UNITS), all = UP(CHANNELS * window, TERMS);
    int64_t HH = job->H - job->KH + 1, run = (job->W - job->KW + 1) * job->N;
    vec *sums = job->sums + seat * F_up * all;
    memset(sums, 0, F_up * all * sizeof(vec));
    for (int64_t h = 0; h < HH; h++)
        for (int64_t start = 0; start < run; start += SEGMENT)
            for (int64_t f = 0; f < F_up; f += UNITS) {
                const REAL *dy[UNITS];
                UNROLL for (int k = 0; k < UNITS; k++) dy[k] = job->dy + (LEAST(f + k, F - 1) * HH + h) * run + start;
                for (int64_t k = 0; k < K_up; k += TERMS) {
                    const REAL *x[TERMS];
                    UNROLL for (int t = 0; t < TERMS; t++) {
                        int64_t term = LEAST(k + t, K - 1), c = first + term / window, ij = term % window;
                        int64_t row = (c * job->H + h + ij / job->KW) * job->W + ij % job->KW;
                        x[t] = job->x + row * job->N + start;
                    }
                    dot(LEAST(SEGMENT, run - start), dy, x, sums + f * all + k, all);
                }
            }
    for (int64_t f = 0; f < F; f++)
        for (int64_t k = 0; k < K; k++) {
            REAL sum = 0;
            for (int l = 0; l < LANES; l++) sum += sums[f * all + k][l];
            job->dweight[(f * job->C + first) * window + k] = sum;
        }
}

/* dweight_fcij = Σ_hwn dy_f,hwn x_c,h+i,w+j,n; x with its padding in memory. 0 if there is no memory. */
int gradient(int64_t threads, int64_t N, int64_t C, int64_t H, int64_t W, int64_t F, int64_t KH, int64_t KW, const REAL *x,
             const REAL *dy, REAL *dweight)
{
    vec *sums = aligned(threads * UP(F, UNITS) * UP(CHANNELS * KH * KW, TERMS) * sizeof(vec));
    if (!sums) return 0;
    struct gradient_job job = {N, C, H, W, F, KH, KW, x, dy, sums, dweight};
    run_parts(gradient_part, &job, (C + CHANNELS - 1) / CHANNELS, threads);
    free(sums);
    return 1;
}
