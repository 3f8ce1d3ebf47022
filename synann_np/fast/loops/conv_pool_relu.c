/* Convolution, 2×2 pooling and relu as one, image by image. Formulas and letters: conv_pool_relu.py.

Compiled for one layer. Constants from the command line: REAL (float or double), C channels, F filters, H by W pixels,
KH by KW kernel, BAND pooling rows whose patches are gathered at a time. */

#include "threads.h"
#include "vectors.h"

#define PH (KH + 1)                 /* a patch: what the four outputs under a pooling window see */
#define PW (KW + 1)
#define h ((H - KH + 1) / 2)        /* pooling windows */
#define w ((W - KW + 1) / 2)
#define WINDOWS (h * w)
#define HALF ((W + 1) / 2)
#define NOBODY 4                    /* in `won`, where y = 0: no one of the four gets a gradient */

#if REGISTERS == 32
#define FILTERS_AT_ONCE 5
#define VECTORS_AT_ONCE 26
#else
#define FILTERS_AT_ONCE 2
#define VECTORS_AT_ONCE 10
#endif

#define INTEGER __typeof__(__builtin_choose_expr(sizeof(REAL) == 4, (int32_t)0, (int64_t)0))
#define VECTORS(n) (UP(n, LANES) / LANES)
#define POWER(n) ((n) <= 1 ? 1 : (n) <= 2 ? 2 : (n) <= 4 ? 4 : (n) <= 8 ? 8 : 16) /* 2^k ≥ n, at most 16 */

/* A row of a patch with the channels innermost, (KW, CP), as vectors: no wider than needed, at any address. */
#define CP (C <= LANES ? POWER(C) : UP(C, LANES)) /* channels with padding */
#define ROW_LANES LEAST(LANES, POWER(KW * CP))
#define ROW_VECTORS (UP(KW * CP, ROW_LANES) / ROW_LANES)
typedef REAL row_vec __attribute__((vector_size(ROW_LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

#define BAND_WINDOWS (BAND * w)
#define BAND_VECTORS VECTORS(BAND_WINDOWS)

struct forward_memory {
    vec patches[C * PH * PW][BAND_VECTORS];
    REAL halves[C][H][2][HALF];     /* the image, its even columns apart from its odd ones */
    vec z[FILTERS_AT_ONCE][4][BAND_VECTORS];
    REAL best[BAND_VECTORS * LANES];
    INTEGER winner[BAND_VECTORS * LANES];
    int kept[F];                    /* the filters whose mask is not 0 */
};

/* patches_crs,hw = x_c,2h+r,2w+s of the pooling rows from `top` on */
static void gather(struct forward_memory *m, int top, int rows)
{
    for (int c = 0; c < C; c++)
        for (int r = 0; r < PH; r++)
            for (int s = 0; s < PW; s++) {
                REAL *patch = (REAL *)m->patches[(c * PH + r) * PW + s];
                for (int k = 0; k < rows; k++)
                    memcpy(patch + k * w, m->halves[c][2 * (top + k) + r][s % 2] + s / 2, w * sizeof(REAL));
            }
}

/* z_f,ab = Σ_cij weight_fcij patches_c,i+a,j+b for `count` filters and one vector of windows */
INLINE void convolve(struct forward_memory *m, int v, const REAL *const *weight, int count)
{
    vec z[FILTERS_AT_ONCE][4];
    UNROLL for (int f = 0; f < count; f++)
        UNROLL for (int ab = 0; ab < 4; ab++) z[f][ab] = (vec){0};
    for (int c = 0; c < C; c++)
        for (int i = 0; i < KH; i++) {
            int at = (c * KH + i) * KW;
            const vec(*patch)[BAND_VECTORS] = m->patches + (c * PH + i) * PW;
            UNROLL for (int j = 0; j < KW; j++) {
                vec x[4] = {patch[j][v], patch[j + 1][v], patch[j + PW][v], patch[j + PW + 1][v]};
                UNROLL for (int f = 0; f < count; f++)
                    UNROLL for (int ab = 0; ab < 4; ab++) z[f][ab] += weight[f][at + j] * x[ab];
            }
        }
    UNROLL for (int f = 0; f < count; f++)
        UNROLL for (int ab = 0; ab < 4; ab++) m->z[f][ab][v] = z[f][ab];
}

/* y = max(0, scale (max_ab z_ab + bias)), and who won: of equal ones the first, but a NaN before all */
INLINE void pool(struct forward_memory *m, int f, int windows, REAL bias, REAL scale, REAL *y, uint8_t *won)
{
    const REAL(*z)[BAND_VECTORS * LANES] = (const void *)m->z[f];
    for (int k = 0; k < BAND_VECTORS * LANES; k++) {
        REAL most = z[0][k];
        INTEGER first = 0;
        UNROLL for (int ab = 1; ab < 4; ab++) {
            int better = (z[ab][k] > most) | (z[ab][k] != z[ab][k]);
            most = better ? z[ab][k] : most;
            first = better ? ab : first;
        }
        most = scale * (most + bias);
        m->best[k] = most <= 0 ? 0 : most;
        m->winner[k] = most > 0 ? first : NOBODY;
    }
    memcpy(y, m->best, windows * sizeof(REAL));
    for (int k = 0; k < windows; k++) won[k] = m->winner[k];
}

enum { IMAGES = 4, CHUNKS = 8 }; /* images of a part, forward; chunks of the batch, each with its own sums, backward */

struct forward_job {
    struct forward_memory *memory;
    int64_t N, xn, xc, xh, xw;
    const REAL *x, *weight, *bias, *mask;
    REAL *y;
    uint8_t *won;
};

static void forward_image(struct forward_memory *m, const struct forward_job *job, int64_t n)
{
    const REAL *x = job->x + n * job->xn, *mask = job->mask ? job->mask + n * F : 0;
    REAL *y = job->y + n * F * WINDOWS;
    uint8_t *won = job->won + n * F * WINDOWS;
    for (int c = 0; c < C; c++)
        for (int row = 0; row < H; row++) {
            const REAL *from = x + c * job->xc + row * job->xh;
            for (int k = 0; k < HALF; k++) m->halves[c][row][0][k] = from[2 * k * job->xw];
            for (int k = 0; k < W / 2; k++) m->halves[c][row][1][k] = from[(2 * k + 1) * job->xw];
        }
    int count = 0;
    for (int f = 0; f < F; f++) {
        if (!mask || mask[f] != 0) m->kept[count++] = f;
        else memset(y + f * WINDOWS, 0, WINDOWS * sizeof(REAL)); /* backward does not ask who has won */
    }
    for (int top = 0; top < h; top += BAND) {
        int rows = LEAST(BAND, h - top);
        gather(m, top, rows);
        for (int first = 0; first < count; first += FILTERS_AT_ONCE) {
            int some = LEAST(FILTERS_AT_ONCE, count - first);
            const REAL *weights[FILTERS_AT_ONCE];
            for (int f = 0; f < some; f++) weights[f] = job->weight + m->kept[first + f] * C * KH * KW;
            for (int v = 0; v < BAND_VECTORS; v++)
                switch (some) { /* each with its own number of registers */
                    case 1: convolve(m, v, weights, 1); break;
                    case 2: convolve(m, v, weights, 2); break;
#if FILTERS_AT_ONCE > 2
                    case 3: convolve(m, v, weights, 3); break;
                    case 4: convolve(m, v, weights, 4); break;
                    case 5: convolve(m, v, weights, 5); break;
#endif
                }
            for (int k = 0; k < some; k++) {
                int f = m->kept[first + k], at = f * WINDOWS + top * w;
                pool(m, k, rows * w, job->bias ? job->bias[f] : 0, mask ? mask[f] : 1, y + at, won + at);
            }
        }
    }
}

static void forward_part(void *of, int64_t part, int64_t seat)
{
    const struct forward_job *job = of;
    for (int64_t n = part * IMAGES; n < LEAST((part + 1) * IMAGES, job->N); n++)
        forward_image(job->memory + seat, job, n);
}

/* x (N, C, H, W) by its strides; mask (N, F) or NULL; y (N, F, h, w); won (N, F, h, w). 0 if there is no memory. */
int forward(int64_t threads, int64_t N, const REAL *x, int64_t xn, int64_t xc, int64_t xh, int64_t xw,
            const REAL *weight, const REAL *bias, const REAL *mask, REAL *y, uint8_t *won)
{
    struct forward_memory *memory = aligned(threads * sizeof *memory);
    if (!memory) return 0;
    for (int64_t k = 0; k < threads; k++) memset(memory[k].patches, 0, sizeof memory[k].patches);
    struct forward_job job = {memory, N, xn, xc, xh, xw, x, weight, bias, mask, y, won};
    run_parts(forward_part, &job, (N + IMAGES - 1) / IMAGES, threads);
    free(memory);
    return 1;
}

/* What stays in registers: part of a patch, ROWS of it and COLUMNS vectors of each. */
#define COLUMNS LEAST(ROW_VECTORS, VECTORS_AT_ONCE)
#define ROWS LEAST(KH, VECTORS_AT_ONCE / COLUMNS)
#define WINDOWS_AT_ONCE LEAST(LEAST(LANES, 4), VECTORS_AT_ONCE / (ROWS * COLUMNS))
#define PIXELS (H * W * CP + ROW_LANES) /* what follows the last row is touched, but does not count */

const int channels = CP;

struct backward_memory {
    double dbias[F];
    row_vec weight[F][KH][ROW_VECTORS], dweight[F][KH][ROW_VECTORS];
    REAL x[PIXELS], dx[PIXELS];     /* of an image, (H, W, CP) */
    int first_pixel[WINDOWS];       /* of each window, in x */
    int all_pixel[WINDOWS];
    REAL all_dy[WINDOWS];
    int pixel[WINDOWS + LANES];     /* the first that the winner has seen, of the windows that get a gradient; */
    REAL dy[WINDOWS + LANES] __attribute__((aligned(BYTES))); /* and that, with the mask */
};

/* The windows of one filter that get a gradient, and behind them some with dy = 0. Returns their number. */
INLINE int collect(struct backward_memory *m, const REAL *dy, int64_t dh, int64_t dw, const uint8_t *won, REAL scale)
{
    int count = 0;
    for (int row = 0; row < h; row++)
        for (int column = 0; column < w; column++) m->all_dy[row * w + column] = dy[row * dh + column * dw];
    for (int k = 0; k < WINDOWS; k++) m->all_pixel[k] = m->first_pixel[k] + (won[k] / 2 * W + won[k] % 2) * CP;
    for (int k = 0; k < WINDOWS; k++) { /* without a branch: nobody could predict it */
        m->dy[count] = scale * m->all_dy[k];
        m->pixel[count] = m->all_pixel[k];
        count += won[k] != NOBODY;
    }
    for (int k = 0; k < LANES; k++) m->dy[count + k] = m->pixel[count + k] = 0;
    return count;
}

typedef double doubles __attribute__((vector_size(LANES * sizeof(double))));

/* dbias_f += Σ dy */
INLINE void add_dbias(struct backward_memory *m, int f, int count)
{
    doubles sum = {0};
    for (int v = 0; v < VECTORS(count); v++) sum += __builtin_convertvector(((vec *)m->dy)[v], doubles);
    for (int k = 0; k < LANES; k++) m->dbias[f] += sum[k];
}

/* dweight_fcij += Σ dy x_c,i,j, counted from the pixel of each window: rows from i on, vectors from v on */
INLINE void add_dweight(struct backward_memory *m, int f, int i, int rows, int v, int columns, int count)
{
    row_vec sum[WINDOWS_AT_ONCE][ROWS][COLUMNS] = {0};
    for (int k = 0; k < count; k += WINDOWS_AT_ONCE)
        UNROLL for (int one = 0; one < WINDOWS_AT_ONCE; one++) {
            const REAL *x = m->x + m->pixel[k + one] + i * W * CP + v * ROW_LANES, dy = m->dy[k + one];
            UNROLL for (int r = 0; r < rows; r++)
                UNROLL for (int c = 0; c < columns; c++)
                    sum[one][r][c] += dy * *(row_vec *)(x + r * W * CP + c * ROW_LANES);
        }
    UNROLL for (int one = 0; one < WINDOWS_AT_ONCE; one++)
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int c = 0; c < columns; c++) m->dweight[f][i + r][v + c] += sum[one][r][c];
}

/* dx_c,i,j += dy weight_fcij, counted from the pixel of each window */
INLINE void add_dx(struct backward_memory *m, int f, int i, int rows, int v, int columns, int count, REAL *dx_image)
{
    row_vec weight[ROWS][COLUMNS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < columns; c++) weight[r][c] = m->weight[f][i + r][v + c];
    for (int k = 0; k < count; k++) {
        REAL *dx = dx_image + m->pixel[k] + i * W * CP + v * ROW_LANES, dy = m->dy[k];
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int c = 0; c < columns; c++) *(row_vec *)(dx + r * W * CP + c * ROW_LANES) += dy * weight[r][c];
    }
}

#define IN_PARTS(add, ...)                                                                                            \
    for (int i = 0; i < KH; i += ROWS)                                                                                \
        for (int v = 0; v < ROW_VECTORS; v += COLUMNS) {                                                              \
            if (i + ROWS <= KH && v + COLUMNS <= ROW_VECTORS) add(m, f, i, ROWS, v, COLUMNS, __VA_ARGS__);            \
            else if (i + ROWS <= KH) add(m, f, i, ROWS, v, ROW_VECTORS % COLUMNS, __VA_ARGS__);                       \
            else if (v + COLUMNS <= ROW_VECTORS) add(m, f, i, KH % ROWS, v, COLUMNS, __VA_ARGS__);                    \
            else add(m, f, i, KH % ROWS, v, ROW_VECTORS % COLUMNS, __VA_ARGS__);                                      \
        }

struct backward_job {
    struct backward_memory *chunks;
    int64_t N, xn, xc, xh, xw, dn, df, dh, dw;
    const REAL *x, *weight, *mask, *dy;
    const uint8_t *won;
    REAL *dx;
};

static void backward_image(struct backward_memory *m, const struct backward_job *job, int64_t n)
{
    const REAL *x = job->x + n * job->xn, *dy = job->dy + n * job->dn;
    REAL *dx = job->dx ? job->dx + n * H * W * CP : 0;
    for (int row = 0; row < H; row++)
        for (int c = 0; c < C; c++)
            for (int column = 0; column < W; column++)
                m->x[(row * W + column) * CP + c] = x[c * job->xc + row * job->xh + column * job->xw];
    if (dx) memset(m->dx, 0, PIXELS * sizeof(REAL));
    for (int f = 0; f < F; f++) {
        REAL scale = job->mask ? job->mask[n * F + f] : 1;
        int count = 0;
        if (scale) count = collect(m, dy + f * job->df, job->dh, job->dw, job->won + (n * F + f) * WINDOWS, scale);
        if (!count) continue;
        add_dbias(m, f, count);
        IN_PARTS(add_dweight, count)
        if (dx) IN_PARTS(add_dx, count, m->dx)
    }
    if (dx) memcpy(dx, m->dx, H * W * CP * sizeof(REAL));
}

static void backward_part(void *of, int64_t chunk, int64_t seat)
{
    const struct backward_job *job = of;
    struct backward_memory *m = job->chunks + chunk;
    (void)seat;
    memset(m, 0, sizeof *m);
    for (int k = 0; k < WINDOWS; k++) m->first_pixel[k] = (2 * (k / w) * W + 2 * (k % w)) * CP;
    for (int f = 0; f < F; f++)
        for (int c = 0; c < C; c++)
            for (int i = 0; i < KH; i++)
                for (int j = 0; j < KW; j++)
                    ((REAL *)m->weight[f][i])[j * CP + c] = job->weight[((f * C + c) * KH + i) * KW + j];
    for (int64_t n = job->N * chunk / CHUNKS; n < job->N * (chunk + 1) / CHUNKS; n++) backward_image(m, job, n);
}

/* dy (N, F, h, w) by its strides; dweight (F, C, KH, KW), dbias (F); dx (N, H, W, CP) or NULL. 0 if there is no memory.
The sums of the chunks are added in their order. */
int backward(int64_t threads, int64_t N, const REAL *x, int64_t xn, int64_t xc, int64_t xh, int64_t xw,
             const REAL *weight, const REAL *mask, const uint8_t *won, const REAL *dy, int64_t dn, int64_t df,
             int64_t dh, int64_t dw, REAL *dweight, REAL *dbias, REAL *dx)
{
    struct backward_memory *m = aligned(CHUNKS * sizeof *m);
    if (!m) return 0;
    struct backward_job job = {m, N, xn, xc, xh, xw, dn, df, dh, dw, x, weight, mask, dy, won, dx};
    run_parts(backward_part, &job, CHUNKS, threads);
    for (int chunk = 1; chunk < CHUNKS; chunk++) {
        const row_vec *from = (const row_vec *)m[chunk].dweight;
        for (int f = 0; f < F; f++) m->dbias[f] += m[chunk].dbias[f];
        for (int k = 0; k < F * KH * ROW_VECTORS; k++) ((row_vec *)m->dweight)[k] += from[k];
    }
    for (int f = 0; f < F; f++) {
        dbias[f] = m->dbias[f];
        for (int c = 0; c < C; c++)
            for (int i = 0; i < KH; i++)
                for (int j = 0; j < KW; j++)
                    dweight[((f * C + c) * KH + i) * KW + j] = ((REAL *)m->dweight[f][i])[j * CP + c];
    }
    free(m);
    return 1;
}
