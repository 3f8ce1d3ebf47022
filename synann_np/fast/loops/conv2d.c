/* Convolution of stride 1 and its gradients, the batch innermost in memory. Formulas: conv2d.py.

x (C, H, W, N)   weight (F, C, KH, KW)   y (F, H', W', N) with H' = H + 2 PH − KH + 1. Compile with -DREAL=float or double.

For a fixed (c, i, j) the pixels that a row of outputs reads are one run of W' N numbers, shifted by (j − PW) N: so no
columns are laid out but for a few vectors of outputs at a time. */

#include "threads.h"
#include "vectors.h"

/* What a matrix product keeps in registers: FILTERS by a TILE of VECTORS. */
enum { FILTERS = REGISTERS == 32 ? 12 : 6, VECTORS = 2, TILES = 4 };
#define TILE (VECTORS * LANES)
#define STRIP (TILES * TILE) /* outputs whose pixels are gathered at a time */

/* Outputs of a row that read the columns j0 .. j1 − 1 of the kernel, and others only outside the image. */
struct strip {
    int64_t start, count, j0, j1;
};

struct forward_job {
    int64_t N, C, H, W, F, KH, KW, PH, PW, strips;
    const struct strip *strip;
    const REAL *x, *weight, *bias; /* weight (F / FILTERS, KH, KW, C, FILTERS) */
    REAL *panels, *y;              /* panels: of each thread (TILES, KH KW C, TILE) */
};

/* panel_t,k,l = the pixel that term k = (i, j, c) of output `start` + t TILE + l of row h reads, i from i0 on; some
pixels behind the last output are read too, or are 0 */
static void gather(const struct forward_job *job, int64_t h, struct strip s, int64_t i0, int64_t i1, REAL *panel)
{
    int64_t run = job->W * job->N, K = (i1 - i0) * (s.j1 - s.j0) * job->C, k = 0;
    for (int64_t i = i0; i < i1; i++)
        for (int64_t j = s.j0; j < s.j1; j++)
            for (int64_t c = 0; c < job->C; c++, k++) {
                int64_t from = s.start + (j - job->PW) * job->N;
                const REAL *x = job->x + (c * job->H + h + i - job->PH) * run;
                for (REAL *to = panel + k * TILE; from < s.start + (j - job->PW) * job->N + s.count; from += TILE, to += K * TILE) {
                    if (from + TILE <= run) memcpy(to, x + from, TILE * sizeof(REAL));
                    else for (int64_t l = 0; l < TILE; l++) to[l] = from + l < run ? x[from + l] : 0;
                }
            }
}

/* y_fl = Σ_k weight_kf panel_kl for FILTERS filters and a tile of outputs; k in `rows` runs of `length`, for which the
weights are `stride` apart */
INLINE void multiply(int64_t rows, int64_t length, const REAL *weight, int64_t stride, const vec *panel,
                     vec y[FILTERS][VECTORS])
{
    vec sum[FILTERS][VECTORS];
    UNROLL for (int f = 0; f < FILTERS; f++)
        UNROLL for (int v = 0; v < VECTORS; v++) sum[f][v] = (vec){0};
    for (int64_t i = 0; i < rows; i++, weight += stride - length * FILTERS)
        for (int64_t k = 0; k < length; k++, weight += FILTERS, panel += VECTORS)
            UNROLL for (int f = 0; f < FILTERS; f++)
                UNROLL for (int v = 0; v < VECTORS; v++) sum[f][v] += weight[f] * panel[v];
    UNROLL for (int f = 0; f < FILTERS; f++)
        UNROLL for (int v = 0; v < VECTORS; v++) y[f][v] = sum[f][v];
}

static void forward_part(void *of, int64_t part, int64_t seat)
{
    const struct forward_job *job = of;
    int64_t C = job->C, KH = job->KH, KW = job->KW, HH = job->H + 2 * job->PH - KH + 1, h = part / job->strips;
    int64_t run = (job->W + 2 * job->PW - KW + 1) * job->N;
    int64_t i0 = job->PH > h ? job->PH - h : 0, i1 = LEAST(KH, job->H + job->PH - h); /* rows in the image */
    struct strip s = job->strip[part % job->strips];
    int64_t length = (s.j1 - s.j0) * C, stride = KW * C * FILTERS;
    REAL *panel = job->panels + seat * KH * KW * C * STRIP;
    gather(job, h, s, i0, i1, panel);
    for (int64_t first = 0; first < job->F; first += FILTERS) {
        const REAL *weight = job->weight + first * KH * KW * C + i0 * stride + s.j0 * C * FILTERS;
        for (int64_t t = 0; t * TILE < s.count; t++) {
            vec sum[FILTERS][VECTORS];
            multiply(i1 - i0, length, weight, stride, (const vec *)(panel + t * (i1 - i0) * length * TILE), sum);
            int64_t some = LEAST(TILE, s.count - t * TILE);
            for (int64_t f = 0; f < LEAST(FILTERS, job->F - first); f++) {
                REAL *y = job->y + ((first + f) * HH + h) * run + s.start + t * TILE, *z = (REAL *)sum[f];
                REAL bias = job->bias ? job->bias[first + f] : 0;
                for (int64_t l = 0; l < some; l++) y[l] = z[l] + bias;
            }
        }
    }
}

/* Cuts a row of outputs into strips, and returns their number. */
static int64_t cut(int64_t N, int64_t W, int64_t KW, int64_t PW, struct strip *strips)
{
    int64_t count = 0, WW = W + 2 * PW - KW + 1;
    for (int64_t w = 0, next; w < WW; w = next) {
        int64_t j0 = PW > w ? PW - w : 0, j1 = LEAST(KW, W + PW - w);
        for (next = w + 1; next < WW && j0 == (PW > next ? PW - next : 0) && j1 == LEAST(KW, W + PW - next);) next++;
        for (int64_t start = w * N; start < next * N; start += STRIP)
            strips[count++] = (struct strip){start, LEAST(STRIP, next * N - start), j0, j1};
    }
    return count;
}

/* flipped: y is dx of a convolution whose dy is x; weight then is (C, F, KH, KW), and is turned round. PH < KH, PW < KW.
0 if there is no memory. */
int forward(int64_t threads, int64_t flipped, int64_t N, int64_t C, int64_t H, int64_t W, int64_t F, int64_t KH,
            int64_t KW, int64_t PH, int64_t PW, const REAL *x, const REAL *weight, const REAL *bias, REAL *y)
{
    int64_t window = KH * KW, K = C * window, HH = H + 2 * PH - KH + 1, WW = W + 2 * PW - KW + 1;
    REAL *packed = aligned(UP(F, FILTERS) * K * sizeof(REAL)), *panels = aligned(threads * K * STRIP * sizeof(REAL));
    struct strip *strips = aligned(WW * (N / STRIP + 1) * sizeof *strips);
    if (!packed || !panels || !strips) return free(packed), free(panels), free(strips), 0;
    memset(packed, 0, UP(F, FILTERS) * K * sizeof(REAL));
    for (int64_t f = 0; f < F; f++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t ij = 0; ij < window; ij++)
                packed[(f / FILTERS * K + ij * C + c) * FILTERS + f % FILTERS] =
                    flipped ? weight[(c * F + f) * window + window - 1 - ij] : weight[(f * C + c) * window + ij];
    int64_t count = cut(N, W, KW, PW, strips);
    struct forward_job job = {N, C, H, W, F, KH, KW, PH, PW, count, strips, x, packed, bias, panels, y};
    run_parts(forward_part, &job, HH * count, threads);
    free(packed), free(panels), free(strips);
    return 1;
}

enum { BLOCKS = 72 / FILTERS, TERMS = BLOCKS * FILTERS, SEGMENT = 256 };

struct gradient_job {
    int64_t N, C, H, W, F, KH, KW;
    const REAL *x, *dy;
    REAL *tiles; /* dy, (F / TILE, H' W' N, TILE) */
    vec *sums;   /* of each thread (TERMS, VECTORS) */
    REAL *dweight;
};

/* tiles_l,f = dy_fl of a tile of filters; 0 behind the last */
static void transpose_part(void *of, int64_t part, int64_t seat)
{
    const struct gradient_job *job = of;
    int64_t all = (job->H - job->KH + 1) * (job->W - job->KW + 1) * job->N, first = part * TILE;
    REAL *tile = job->tiles + first * all;
    (void)seat;
    for (int64_t l = 0; l < all; l += LANES)
        for (int f = 0; f < TILE; f++)
            for (int64_t k = l; k < LEAST(l + LANES, all); k++)
                tile[k * TILE + f] = first + f < job->F ? job->dy[(first + f) * all + k] : 0;
}

/* sum_kf += Σ_l x_kl dy_lf for FILTERS terms k and a tile of filters f */
INLINE void add_product(int64_t length, const REAL *const x[FILTERS], const vec *dy, vec *sums)
{
    vec sum[FILTERS][VECTORS];
    UNROLL for (int k = 0; k < FILTERS; k++)
        UNROLL for (int v = 0; v < VECTORS; v++) sum[k][v] = (vec){0};
    for (int64_t l = 0; l < length; l++, dy += VECTORS)
        UNROLL for (int k = 0; k < FILTERS; k++)
            UNROLL for (int v = 0; v < VECTORS; v++) sum[k][v] += x[k][l] * dy[v];
    UNROLL for (int k = 0; k < FILTERS; k++)
        UNROLL for (int v = 0; v < VECTORS; v++) sums[k * VECTORS + v] += sum[k][v];
}

/* dweight of TERMS terms (c, i, j) and a tile of filters: one part */
static void gradient_part(void *of, int64_t part, int64_t seat)
{
    const struct gradient_job *job = of;
    int64_t N = job->N, window = job->KH * job->KW, K = job->C * window, groups = (K + TERMS - 1) / TERMS;
    int64_t HH = job->H - job->KH + 1, run = (job->W - job->KW + 1) * N;
    int64_t first = part % groups * TERMS, terms = LEAST(TERMS, K - first), filter = part / groups * TILE;
    vec *sums = job->sums + seat * TERMS * VECTORS;
    memset(sums, 0, TERMS * VECTORS * sizeof(vec));
    for (int64_t h = 0; h < HH; h++)
        for (int64_t start = 0; start < run; start += SEGMENT)
            for (int64_t k = 0; k < terms; k += FILTERS) {
                const REAL *x[FILTERS];
                UNROLL for (int t = 0; t < FILTERS; t++) {
                    int64_t term = first + LEAST(k + t, terms - 1), c = term / window, ij = term % window;
                    x[t] = job->x + ((c * job->H + h + ij / job->KW) * job->W + ij % job->KW) * N + start;
                }
                const REAL *dy = job->tiles + filter * HH * run + (h * run + start) * TILE;
                add_product(LEAST(SEGMENT, run - start), x, (const vec *)dy, sums + k * VECTORS);
            }
    for (int64_t f = 0; f < LEAST(TILE, job->F - filter); f++)
        for (int64_t k = 0; k < terms; k++) job->dweight[(filter + f) * K + first + k] = ((REAL *)sums)[k * TILE + f];
}

/* dweight_fcij = Σ_hwn dy_f,hwn x_c,h+i,w+j,n; x with its padding in memory. 0 if there is no memory. */
int gradient(int64_t threads, int64_t N, int64_t C, int64_t H, int64_t W, int64_t F, int64_t KH, int64_t KW, const REAL *x,
             const REAL *dy, REAL *dweight)
{
    int64_t groups = (C * KH * KW + TERMS - 1) / TERMS, filters = UP(F, TILE);
    REAL *tiles = aligned(filters * (H - KH + 1) * (W - KW + 1) * N * sizeof(REAL));
    vec *sums = aligned(threads * TERMS * VECTORS * sizeof(vec));
    if (!tiles || !sums) return free(tiles), free(sums), 0;
    struct gradient_job job = {N, C, H, W, F, KH, KW, x, dy, tiles, sums, dweight};
    run_parts(transpose_part, &job, filters / TILE, threads);
    run_parts(gradient_part, &job, groups * filters / TILE, threads);
    free(tiles), free(sums);
    return 1;
}
