/* Convolution of stride 1 and its gradients, the batch innermost in memory. Formulas: conv2d.py.

x (C, H, W, N)   weight (F, KH, KW, C)   y (F, H', W', N) with H' = H + 2 PH − KH + 1. Compile with -DREAL=float or double.

For a fixed (c, i, j) the pixels that a row of outputs reads are one run of W' N numbers, shifted by (j − PW) N: so no
columns are laid out but for a few vectors of outputs at a time. */

#include "vectors.h"

/* What a matrix product keeps in registers: ROWS by a TILE of VECTORS. TERMS terms (c, i, j) of dweight belong to a part; a
SEGMENT of outputs stays in the cache meanwhile. */
enum { ROWS = REGISTERS == 32 ? 12 : 6, VECTORS = 2, TILES = 4, TERMS = 72, SEGMENT = 256 };
#define TILE (VECTORS * LANES)
#define STRIP (TILES * TILE) /* outputs whose pixels are gathered at a time */
const int64_t tile = TILE, strip = STRIP, terms = TERMS;

/* sum_rl += Σ_k a_rk b_kl for ROWS rows and a tile of columns */
INLINE void multiply(int64_t length, const REAL *const a[ROWS], const vec *b, vec sum[ROWS][VECTORS])
{
    vec s[ROWS][VECTORS];
    memcpy(s, sum, sizeof s);
    for (int64_t k = 0; k < length; k++, b += VECTORS)
        UNROLL for (int r = 0; r < ROWS; r++)
            UNROLL for (int v = 0; v < VECTORS; v++) s[r][v] += a[r][k] * b[v];
    memcpy(sum, s, sizeof s);
}

/* Outputs of a row that read the columns j0 .. j1 − 1 of the kernel, and others only outside the image. */
struct strip {
    int64_t start, count, j0, j1;
};

struct forward_job {
    int64_t N, C, H, W, F, KH, KW, PH, PW, strips;
    const struct strip *strip;
    const REAL *x, *weight, *bias;
    REAL *panels, *y; /* panels: of each thread (TILES, KH KW C, TILE) */
};

/* panel_t,k,l = the pixel that term k = (i, j, c) of output `start` + t TILE + l of row h reads, i from i0 on; some
pixels behind the last output are read too, or are 0 */
static void gather(const struct forward_job *job, int64_t h, struct strip s, int64_t i0, int64_t i1, REAL *panel)
{
    int64_t run = job->W * job->N, K = (i1 - i0) * (s.j1 - s.j0) * job->C;
    for (int64_t i = i0; i < i1; i++)
        for (int64_t j = s.j0; j < s.j1; j++)
            for (int64_t c = 0; c < job->C; c++, panel += TILE) {
                int64_t start = s.start + (j - job->PW) * job->N;
                const REAL *x = job->x + (c * job->H + h + i - job->PH) * run;
                for (int64_t from = start, t = 0; from < start + s.count; from += TILE, t++) {
                    REAL *to = panel + t * K * TILE;
                    if (from + TILE <= run) memcpy(to, x + from, TILE * sizeof(REAL));
                    else for (int64_t l = 0; l < TILE; l++) to[l] = from + l < run ? x[from + l] : 0;
                }
            }
}

/* A strip of a row of outputs. */
void forward(const struct forward_job *job, int64_t part, int64_t seat)
{
    int64_t C = job->C, KH = job->KH, KW = job->KW, HH = job->H + 2 * job->PH - KH + 1, h = part / job->strips;
    int64_t run = (job->W + 2 * job->PW - KW + 1) * job->N;
    int64_t i0 = job->PH > h ? job->PH - h : 0, i1 = LEAST(KH, job->H + job->PH - h); /* rows in the image */
    struct strip s = job->strip[part % job->strips];
    int64_t length = (s.j1 - s.j0) * C;
    REAL *panel = job->panels + seat * KH * KW * C * STRIP;
    gather(job, h, s, i0, i1, panel);
    for (int64_t first = 0; first < job->F; first += ROWS)
        for (int64_t t = 0; t * TILE < s.count; t++) {
            vec sum[ROWS][VECTORS] = {0};
            for (int64_t i = i0; i < i1; i++) {
                const REAL *weight[ROWS];
                UNROLL for (int f = 0; f < ROWS; f++)
                    weight[f] = job->weight + ((LEAST(first + f, job->F - 1) * KH + i) * KW + s.j0) * C;
                multiply(length, weight, (const vec *)panel + (t * (i1 - i0) + i - i0) * length * VECTORS, sum);
            }
            for (int64_t f = 0; f < LEAST(ROWS, job->F - first); f++) {
                REAL *y = job->y + ((first + f) * HH + h) * run + s.start + t * TILE, bias = job->bias ? job->bias[first + f] : 0;
                for (int64_t l = 0; l < LEAST(TILE, s.count - t * TILE); l++) y[l] = ((REAL *)sum[f])[l] + bias;
            }
        }
}


struct gradient_job {
    int64_t N, C, H, W, F, KH, KW;
    const REAL *x, *dy; /* x with its padding in memory */
    REAL *tiles;        /* dy, (F / TILE, H' W' N, TILE); 0 behind the last filter */
    vec *sums;          /* of each thread (TERMS, VECTORS) */
    REAL *dweight;      /* (F, C, KH, KW) */
};

/* tiles_l,f = dy_fl of LANES outputs */
void transpose(const struct gradient_job *job, int64_t part, int64_t seat)
{
    int64_t outputs = (job->H - job->KH + 1) * (job->W - job->KW + 1) * job->N;
    for (int64_t f = 0; f < UP(job->F, TILE); f++)
        for (int64_t l = part * SEGMENT; l < LEAST((part + 1) * SEGMENT, outputs); l++)
            job->tiles[(f / TILE * outputs + l) * TILE + f % TILE] = f < job->F ? job->dy[f * outputs + l] : 0;
}

/* dweight_fcij = Σ_hwn dy_f,hwn x_c,h+i,w+j,n of TERMS terms and a tile of filters */
void gradient(const struct gradient_job *job, int64_t part, int64_t seat)
{
    int64_t N = job->N, window = job->KH * job->KW, K = job->C * window, groups = (K + TERMS - 1) / TERMS;
    int64_t HH = job->H - job->KH + 1, run = (job->W - job->KW + 1) * N;
    int64_t first = part % groups * TERMS, count = LEAST(TERMS, K - first), filter = part / groups * TILE;
    vec *sums = job->sums + seat * TERMS * VECTORS;
    memset(sums, 0, TERMS * VECTORS * sizeof(vec));
    for (int64_t h = 0; h < HH; h++)
        for (int64_t start = 0; start < run; start += SEGMENT)
            for (int64_t k = 0; k < count; k += ROWS) {
                vec sum[ROWS][VECTORS] = {0};
                const REAL *x[ROWS], *dy = job->tiles + filter * HH * run + (h * run + start) * TILE;
                UNROLL for (int r = 0; r < ROWS; r++) {
                    int64_t term = first + LEAST(k + r, count - 1), c = term / window, ij = term % window;
                    x[r] = job->x + ((c * job->H + h + ij / job->KW) * job->W + ij % job->KW) * N + start;
                }
                multiply(LEAST(SEGMENT, run - start), x, (const vec *)dy, sum);
                for (int v = 0; v < ROWS * VECTORS; v++) sums[k * VECTORS + v] += ((vec *)sum)[v];
            }
    for (int64_t f = 0; f < LEAST(TILE, job->F - filter); f++)
        for (int64_t k = 0; k < count; k++) job->dweight[(filter + f) * K + first + k] = ((REAL *)sums)[k * TILE + f];
}
