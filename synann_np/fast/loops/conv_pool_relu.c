/* Convolution, dropout of channels, 2×2 pooling and relu as one, and its gradients. Formulas and letters:
conv_pool_relu.py.

x (N, C, H, W), dy (N, F, h, w) by their strides   weight (F, C, KH, KW)   mask (N, F)   y, won (N, F, h, w).
Compile with -DREAL=float or double. */

#include "vectors.h"

enum { FILTERS = REGISTERS == 32 ? 5 : 2, NOBODY = 4 }; /* NOBODY: in `won`, where y = 0: no one gets a gradient */

typedef __typeof__(__builtin_choose_expr(sizeof(REAL) == 4, (int32_t)0, (int64_t)0)) integer;
typedef integer integers __attribute__((vector_size(BYTES))); /* a comparison: −1 where it holds, else 0 */
typedef uint8_t bytes __attribute__((vector_size(LANES)));
#define CHOOSE(condition, a, b) (((condition) & (integers)(a)) | (~(condition) & (integers)(b)))

struct forward_job {
    int64_t N, C, H, W, F, KH, KW, h, w, xn, xc, xh, xw;
    int64_t band, terms; /* band: pooling rows taken at a time; terms: C KH KW */
    const int64_t *pixel; /* where in `patches` the first output reads for term (c, i, j) */
    const REAL *x, *weight, *bias, *mask;
    REAL *y;
    REAL *halves;  /* of each thread (C, H, 2, W/2) and a vector: an image, its even columns apart from its odd ones */
    REAL *patches; /* of each thread (C, KH + 1, KW + 1, band w in whole vectors) and a vector */
    uint8_t *won;
};

/* z_ab = Σ_cij weight_cij patch_c,i+a,j+b for some filters and a vector of windows; `step` numbers from pixel to pixel */
INLINE void convolve(const struct forward_job *job, const REAL *patch, int64_t step, const REAL *const weight[FILTERS],
                     vec z[FILTERS][4])
{
    int64_t below = (job->KW + 1) * step;
    for (int64_t k = 0; k < job->terms; k++) {
        const REAL *pixel = patch + job->pixel[k], *next = pixel + below;
        vec x[4] = {*(const vec *)pixel, *(const vec *)(pixel + step), *(const vec *)next, *(const vec *)(next + step)};
        UNROLL for (int f = 0; f < FILTERS; f++)
            UNROLL for (int ab = 0; ab < 4; ab++) z[f][ab] += weight[f][k] * x[ab];
    }
}

/* y = max(0, scale (max_ab z_ab + bias)), and who won: of equal ones the first, but a NaN before all; `count` windows */
INLINE void pool(const vec z[4], REAL bias, REAL scale, int64_t count, REAL *y, uint8_t *won)
{
    vec most = z[0];
    integers first = {0}, none = {0};
    UNROLL for (int ab = 1; ab < 4; ab++) {
        integers better = (z[ab] > most) | (z[ab] != z[ab]);
        most = (vec)CHOOSE(better, z[ab], most);
        first = CHOOSE(better, none + ab, first);
    }
    most = scale * (most + bias);
    bytes winner = __builtin_convertvector(CHOOSE(most > 0, first, none + NOBODY), bytes);
    most = (vec)(~(most <= 0) & (integers)most);
    if (count >= LANES) memcpy(y, &most, BYTES), memcpy(won, &winner, LANES);
    else memcpy(y, &most, count * sizeof(REAL)), memcpy(won, &winner, count);
}

/* An image. */
void forward(const struct forward_job *job, int64_t n, int64_t seat)
{
    const struct forward_job j = *job;
    int64_t h = j.h, w = j.w, step = UP(j.band * w, LANES);
    int64_t half = (j.W + 1) / 2, plane = 2 * half * j.H;
    REAL *patches = j.patches + seat * (j.C * (j.KH + 1) * (j.KW + 1) * step + LANES);
    REAL *halves = j.halves + seat * (j.C * plane + LANES);
    for (int64_t c = 0; c < j.C; c++)
        for (int64_t row = 0; row < 2 * j.H; row++) { /* twice the image's: the even columns of one, then the odd ones */
            const REAL *x = j.x + n * j.xn + c * j.xc + row / 2 * j.xh + row % 2 * j.xw;
            for (int64_t k = 0; k < (j.W + 1 - row % 2) / 2; k++) halves[c * plane + row * half + k] = x[2 * k * j.xw];
        }
    for (int64_t top = 0; top < h; top += j.band) {
        int64_t rows = LEAST(j.band, h - top), windows = rows * w;
        REAL *to = patches;
        for (int64_t c = 0; c < j.C; c++)
            for (int64_t r = 0; r <= j.KH; r++)
                for (int64_t s = 0; s <= j.KW; s++, to += step)
                    for (int64_t row = 0; row < rows; row++) {
                        const REAL *x = halves + c * plane + (2 * (2 * (top + row) + r) + s % 2) * half + s / 2;
                        for (int64_t k = 0; k < w; k += LANES) /* what is too much is overwritten */
                            *(vec *)(to + row * w + k) = *(const vec *)(x + k);
                    }
        for (int64_t next = 0, count = 0, f[FILTERS]; next < j.F; count = 0) {
            for (; next < j.F && count < FILTERS; next++) {
                if (!j.mask || j.mask[n * j.F + next] != 0) f[count++] = next;
                else memset(j.y + ((n * j.F + next) * h + top) * w, 0, windows * sizeof(REAL)); /* `won` will not be read */
            }
            for (int64_t v = 0; count && v < windows; v += LANES) {
                vec z[FILTERS][4] = {0};
                const REAL *weight[FILTERS];
                UNROLL for (int k = 0; k < FILTERS; k++) weight[k] = j.weight + f[LEAST(k, count - 1)] * j.terms;
                convolve(job, patches + v, step, weight, z);
                UNROLL for (int k = 0; k < FILTERS; k++) {
                    if (k >= count) break;
                    int64_t at = ((n * j.F + f[k]) * h + top) * w + v;
                    REAL bias = j.bias ? j.bias[f[k]] : 0, scale = j.mask ? j.mask[n * j.F + f[k]] : 1;
                    pool(z[k], bias, scale, windows - v, j.y + at, j.won + at);
                }
            }
        }
    }
}

/* A row of a patch, with the channels innermost, is KW CP numbers, and as many more as fill its last vector. `cells` are
the vectors of a patch, CELLS of which stay in registers. */
enum { CELLS = 5 };
const int64_t cells_at_once = CELLS;

struct backward_job {
    int64_t N, C, H, W, F, h, w, xn, xc, xh, xw, dn, df, dh, dw, CP, chunks, cells, filter; /* filter: numbers in one */
    const int64_t *in_image, *in_filter; /* where a cell begins, in an image (H, W, CP) and in a filter */
    const REAL *x, *dy, *mask, *weight;  /* weight: F filters (KH + 1, KP, CP), KP ≥ KW; the last row is 0 */
    const uint8_t *won;
    REAL *dweight, *dx;                  /* dweight: of each chunk, as weight; dx (N, H, W, CP) or NULL */
    double *dbias;                       /* of each chunk (F) */
    REAL *images, *windows;              /* of each thread: an image and its dx, each of `space` numbers; dy (h w + 1) */
    int64_t *pixels, space;              /* of each thread (h w + 1): the first pixel that the winner has seen */
};

/* dweight_fcij += Σ dy x_c,i,j and dx_c,i,j += dy weight_fcij, counted from the pixel of each window. */
INLINE void add_gradients(const struct backward_job *job, int64_t count, const int64_t *pixel, const REAL *dy, const REAL *x,
                          const REAL *weight, REAL *dweight, REAL *dx)
{
    for (int64_t first = 0; first < job->cells; first += CELLS) {
        const int64_t *in_filter = job->in_filter + first;
        int64_t in_image[CELLS];
        vec sum[CELLS] = {0}, w[CELLS];
        UNROLL for (int k = 0; k < CELLS; k++) w[k] = *(const vec *)(weight + in_filter[k]), in_image[k] = job->in_image[first + k];
        for (int64_t t = 0; t < count; t++) {
            UNROLL for (int k = 0; k < CELLS; k++) sum[k] += dy[t] * *(const vec *)(x + pixel[t] + in_image[k]);
            if (dx) UNROLL for (int k = 0; k < CELLS; k++) *(vec *)(dx + pixel[t] + in_image[k]) += dy[t] * w[k];
        }
        UNROLL for (int k = 0; k < CELLS; k++) *(vec *)(dweight + in_filter[k]) += sum[k];
    }
}

/* A chunk of the batch, with sums of its own. */
void backward(const struct backward_job *job, int64_t chunk, int64_t seat)
{
    const struct backward_job j = *job;
    int64_t h = j.h, w = j.w, image = j.H * j.W * j.CP;
    REAL *x = j.images + seat * 2 * j.space, *dx = x + j.space, *dy = j.windows + seat * (h * w + 1);
    int64_t *pixel = j.pixels + seat * (h * w + 1);
    memset(x, 0, 2 * j.space * sizeof(REAL));
    for (int64_t n = j.N * chunk / j.chunks; n < j.N * (chunk + 1) / j.chunks; n++) {
        for (int64_t c = 0; c < j.C; c++)
            for (int64_t row = 0; row < j.H; row++)
                for (int64_t k = 0; k < j.W; k++)
                    x[(row * j.W + k) * j.CP + c] = j.x[n * j.xn + c * j.xc + row * j.xh + k * j.xw];
        if (j.dx) memset(dx, 0, image * sizeof(REAL));
        for (int64_t f = 0; f < j.F; f++) {
            const REAL scale = j.mask ? j.mask[n * j.F + f] : 1, *from = j.dy + n * j.dn + f * j.df;
            const uint8_t *won = j.won + (n * j.F + f) * h * w;
            if (scale == 0) continue;
            int64_t count = 0;
            double sum = 0;
            for (int64_t row = 0; row < h; row++)
                for (int64_t column = 0; column < w; column++, won++) { /* without a branch: nobody could predict it */
                    dy[count] = scale * from[row * j.dh + column * j.dw];
                    pixel[count] = ((2 * row + *won / 2) * j.W + 2 * column + *won % 2) * j.CP;
                    sum += *won == NOBODY ? 0 : dy[count];
                    count += *won != NOBODY;
                }
            j.dbias[chunk * j.F + f] += sum;
            REAL *dweight = j.dweight + (chunk * j.F + f) * j.filter;
            add_gradients(job, count, pixel, dy, x, j.weight + f * j.filter, dweight, j.dx ? dx : 0);
        }
        if (j.dx) memcpy(j.dx + n * image, dx, image * sizeof(REAL));
    }
}
