/* y_ni = α_i x_ni P_ni,  P_ni = ∏_j q_nij,  q_nij = 1 − β_ij v_nj, and its gradients. Formulas: synapse_graph.py.

x, y (N, n)   v (N, m)   alpha (n)   beta (n, m). Compile with -DREAL=float or double. */

#include "synapse_factors.h"
#include "threads.h"

struct forward_job {
    int64_t N, n, m, step; /* step: factors between two looks */
    const REAL *x, *v, *alpha, *beta;
    double most;           /* of |R| */
    double *rows;          /* v, (N / ROWS, m, ROWS); for series_part in REAL, and v² */
    double *tiles;         /* of each thread: COLUMNS × TILE of beta, then N × TILE of mantissas, then of exponents */
    REAL *y, *R;
    uint8_t *zeros;        /* number of factors that are 0, at most 2 */
};

/* R, the product of the factors that are not 0, and their number. */
static REAL without_zeros(int64_t m, const REAL *v, const REAL *beta, double most, uint8_t *zeros)
{
    double R = 1;
    int64_t exponent = 0;
    int found = 0, shift;
    for (int64_t j = 0; j < m; j++) {
        double q = 1 - (double)beta[j] * v[j];
        if (q == 0) found++;
        else R = frexp(R * q, &shift), exponent += shift;
    }
    *zeros = LEAST(found, 2);
    R = ldexp(R, exponent < -4000 ? -4000 : exponent > 4000 ? 4000 : (int)exponent);
    return R > most ? most : R < -most ? -most : R;
}

static void forward_part(void *of, int64_t part, int64_t seat)
{
    const struct forward_job *job = of;
    int64_t N = job->N, n = job->n, m = job->m, N_up = UP(N, ROWS), first = part * TILE;
    double *tile = job->tiles + seat * TILE * (COLUMNS + 2 * N_up), *mantissa = tile + COLUMNS * TILE;
    int64_t *exponent = (int64_t *)(mantissa + N_up * TILE);
    int64_t units = LEAST(TILE, n - first);
    for (int64_t k = 0; k < N_up * TILE; k++) mantissa[k] = 1, exponent[k] = 0;
    memset(tile, 0, COLUMNS * TILE * sizeof(double));
    for (int64_t start = 0; start < m; start += COLUMNS) {
        int64_t count = LEAST(COLUMNS, m - start);
        for (int64_t i = 0; i < units; i++)
            for (int64_t j = 0; j < count; j++) tile[j * TILE + i] = job->beta[(first + i) * m + start + j];
        for (int64_t r = 0; r < N; r += ROWS)
            multiply(count, job->step, job->rows + r * m + start * ROWS, (const double_vec *)tile,
                     (double_vec *)(mantissa + r * TILE), (long_vec *)(exponent + r * TILE));
    }
    for (int64_t r = 0; r < N; r++) {
        REAL R[TILE];
        int odd = scaled(mantissa + r * TILE, exponent + r * TILE, job->most, R);
        for (int64_t i = 0; i < units; i++) {
            int64_t at = r * n + first + i;
            job->R[at] = R[i];
            job->zeros[at] = 0;
            job->y[at] = job->alpha[first + i] * job->x[at] * R[i];
        }
        for (int64_t i = 0; odd && i < units; i++) {
            int64_t at = r * n + first + i;
            job->R[at] = without_zeros(m, job->v + r * m, job->beta + (first + i) * m, job->most, job->zeros + at);
            job->y[at] = job->alpha[first + i] * job->x[at] * (job->zeros[at] ? 0 : job->R[at]);
        }
    }
}

/* The same where all z = β_ij v_nj are small, in float32: log P = − Σ_j (v β + v² β²/2), in
float64 beyond COLUMNS terms. */
static void series_part(void *of, int64_t part, int64_t seat)
{
    enum { UNITS_AT_ONCE = VECTORS * LANES };
    const struct forward_job *job = of;
    int64_t N = job->N, n = job->n, m = job->m, N_up = UP(N, ROWS), first = part * UNITS_AT_ONCE;
    int64_t units = LEAST(UNITS_AT_ONCE, n - first);
    double *sums = job->tiles + seat * TILE * (COLUMNS + 2 * N_up);
    vec tile[COLUMNS][2][VECTORS] = {0}; /* β, β²/2 */
    memset(sums, 0, N_up * UNITS_AT_ONCE * sizeof(double));
    for (int64_t start = 0; start < m; start += COLUMNS) {
        int64_t count = LEAST(COLUMNS, m - start);
        for (int64_t i = 0; i < units; i++)
            for (int64_t j = 0; j < count; j++) {
                REAL beta = job->beta[(first + i) * m + start + j];
                ((REAL *)tile[j][0])[i] = beta, ((REAL *)tile[j][1])[i] = beta * beta / 2;
            }
        for (int64_t r = 0; r < N; r += ROWS) {
            const REAL *v = (REAL *)job->rows + r * m + start * ROWS, *square = v + N_up * m;
            vec sum[ROWS][VECTORS] = {0};
            for (int64_t j = 0; j < count; j++, v += ROWS, square += ROWS)
                UNROLL for (int k = 0; k < ROWS; k++)
                    UNROLL for (int l = 0; l < VECTORS; l++) {
                        sum[k][l] += v[k] * tile[j][0][l];
                        sum[k][l] += square[k] * tile[j][1][l];
                    }
            for (int k = 0; k < ROWS * UNITS_AT_ONCE; k++) sums[r * UNITS_AT_ONCE + k] += ((REAL *)sum)[k];
        }
    }
    for (int64_t r = 0; r < N; r++)
        for (int64_t i = 0, at = r * n + first; i < units; i++, at++) {
            job->R[at] = expf(-sums[r * UNITS_AT_ONCE + i]);
            job->zeros[at] = 0;
            job->y[at] = job->alpha[first + i] * job->x[at] * job->R[at];
        }
}

/* Whether series_part is right to 1e-6, of P: what it leaves out is Σ_j |z|³/3 at most, and its sums of float32 numbers up
to Σ_j |z| ≤ 1 are right to 2⁻²⁴ of it. */
static int fits_series(int64_t N, int64_t m, const REAL *v, double most_v, double most_beta)
{
    double most_z = most_v * most_beta, most = 0;
    if (sizeof(REAL) > 4 || !(most_z <= 0x1p-6)) return 0;
    for (int64_t r = 0; r < N; r++) {
        REAL sum = 0;
        for (int64_t j = 0; j < m; j++) sum += fabs(v[r * m + j]);
        most = fmax(most, sum * most_beta);
    }
    return most <= 1 && most * most_z * most_z <= 3e-6;
}

/* rows_j,r = v_rj of ROWS rows, in float64; 0 behind the last row. For the series in float32, and v² behind them. */
static void transposed(int64_t N, int64_t m, const REAL *v, int series, double *rows)
{
    REAL *reals = (REAL *)rows, *squares = reals + UP(N, ROWS) * m;
    for (int64_t first = 0; first < N; first += ROWS)
        for (int64_t j = 0; j < m; j++)
            UNROLL for (int r = 0; r < ROWS; r++) {
                int64_t at = first * m + j * ROWS + r;
                REAL a = first + r < N ? v[(first + r) * m + j] : 0;
                if (series) reals[at] = a, squares[at] = a * a;
                else rows[at] = a;
            }
}

/* R (N, n): the product of the factors that are not 0, |R| ≤ `most`; zeros (N, n). 0 if there is no memory. */
int forward(int64_t threads, int64_t N, int64_t n, int64_t m, const REAL *x, const REAL *v, const REAL *alpha,
            const REAL *beta, double most, REAL *y, REAL *R, uint8_t *zeros)
{
    int64_t N_up = UP(N, ROWS);
    double *rows = aligned(N_up * m * sizeof(double));
    double *tiles = aligned(threads * TILE * (COLUMNS + 2 * N_up) * sizeof(double));
    if (!rows || !tiles) return free(rows), free(tiles), 0;
    double most_v = largest(N * m, v), most_beta = largest(n * m, beta);
    int64_t step = most_v * most_beta <= MOST_PRODUCT ? FACTORS : 1;
    struct forward_job job = {N, n, m, step, x, v, alpha, beta, most, rows, tiles, y, R, zeros};
    int series = fits_series(N, m, v, most_v, most_beta);
    int64_t units = series ? VECTORS * LANES : TILE;
    transposed(N, m, v, series, rows);
    run_parts(series ? series_part : forward_part, &job, (n + units - 1) / units, threads);
    free(rows), free(tiles);
    return 1;
}

struct backward_job {
    int64_t N, n, m;
    int terms, all_far_from_zero; /* terms: of 1/q */
    const REAL *v, *beta;
    const REAL *t, *sole;  /* (n / UNITS, N, UNITS): dy α x R of the units without a zero factor, and of those with one */
    REAL scale;            /* of t and sole */
    double most;
    REAL *memory;          /* of each thread: 2 × N × LANES */
    REAL *dv, *dbeta;
};

/* The same where factors may be 0 or nearly so, one by one in float64; clipped as in the plain layer. */
static void careful_quotients(const struct backward_job *job, const REAL (*v)[LANES], const REAL (*beta)[LANES],
                              const REAL (*t)[UNITS], const REAL (*sole)[UNITS], REAL (*sum)[LANES], REAL (*dbeta)[LANES])
{
    double most = job->most / job->scale;
    for (int i = 0; i < UNITS; i++) {
        double d[LANES] = {0};
        for (int64_t r = 0; r < job->N; r++)
            for (int l = 0; l < LANES; l++) {
                double b = beta[i][l], x = v[r][l], q = 1 - b * x;
                double c = q != 0 ? t[r][i] / q : sole[r][i];
                c = c > most ? most : c < -most ? -most : c;
                double s = c * b;
                d[l] += c * x;
                sum[r][l] += s > most ? most : s < -most ? -most : s;
            }
        for (int l = 0; l < LANES; l++) dbeta[i][l] = d[l];
    }
}

static void backward_part(void *of, int64_t part, int64_t seat)
{
    const struct backward_job *job = of;
    int64_t N = job->N, n = job->n, m = job->m, j = part * LANES, lanes = LEAST(LANES, m - j);
    vec *column = (vec *)job->memory + seat * 2 * N, *sum = column + N;
    memset(column, 0, 2 * N * sizeof(vec));
    for (int64_t r = 0; r < N; r++) memcpy(column + r, job->v + r * m + j, lanes * sizeof(REAL));
    for (int64_t i = 0; i < n; i += UNITS) {
        vec of_beta[UNITS] = {0}, of_dbeta[UNITS];
        int64_t some = LEAST(UNITS, n - i);
        const REAL(*t)[UNITS] = (const void *)(job->t + i * N), (*sole)[UNITS] = (const void *)(job->sole + i * N);
        for (int64_t k = 0; k < some; k++) memcpy(of_beta + k, job->beta + (i + k) * m + j, lanes * sizeof(REAL));
        if (job->terms == 2) quotients(2, N, column, of_beta, t[0], UNITS, sum, of_dbeta);
        else if (job->terms == 3) quotients(3, N, column, of_beta, t[0], UNITS, sum, of_dbeta);
        else if (job->all_far_from_zero) quotients(0, N, column, of_beta, t[0], UNITS, sum, of_dbeta);
        else careful_quotients(job, (void *)column, (void *)of_beta, t, sole, (void *)sum, (void *)of_dbeta);
        for (int64_t k = 0; k < some; k++)
            for (int64_t l = 0; l < lanes; l++) job->dbeta[(i + k) * m + j + l] = -job->scale * of_dbeta[k][l];
    }
    for (int64_t r = 0; r < N; r++)
        for (int64_t l = 0; l < lanes; l++) job->dv[r * m + j + l] = -job->scale * sum[r][l];
}

/* Whether every |q_nij| is between 2⁻²⁰ and 2²⁰, so that four of them and their quotients keep all digits. */
static int all_far_from_zero(int64_t N, int64_t n, int64_t m, const REAL *v, const REAL *beta, REAL *most)
{
    int sound = 1;
    memset(most, 0, m * sizeof(REAL));
    for (int64_t r = 0; r < N; r++)
        for (int64_t j = 0; j < m; j++) {
            REAL a = v[r * m + j];
            sound &= a >= 0;
            most[j] = a > most[j] ? a : most[j];
        }
    for (int64_t i = 0; i < n && sound; i++)
        for (int64_t j = 0; j < m; j++) {
            REAL z = beta[i * m + j] * most[j];
            sound &= (z <= (REAL)(1 - 0x1p-20)) & (z >= (REAL)-0x1p20);
        }
    return sound;
}

/* As forward; dy, dx (N, n), dv (N, m), dalpha (n), dbeta (n, m). */
int backward(int64_t threads, int64_t N, int64_t n, int64_t m, const REAL *dy, const REAL *x, const REAL *v,
             const REAL *alpha, const REAL *beta, double most, const REAL *R, const uint8_t *zeros, REAL *dx, REAL *dv,
             REAL *dalpha, REAL *dbeta)
{
    int64_t units = UP(n, UNITS);
    REAL *t = aligned(2 * units * N * sizeof(REAL)), *sole = t + units * N, *by_rows = aligned(N * n * sizeof(REAL));
    REAL *memory = aligned(threads * 2 * N * sizeof(vec)), *most_v = aligned(m * sizeof(REAL));
    if (!t || !by_rows || !memory || !most_v) return free(t), free(by_rows), free(memory), free(most_v), 0;

    memset(dalpha, 0, n * sizeof(REAL));
    int any_zero = 0;
    for (int64_t at = 0; at < N * n; at++) any_zero |= zeros[at];
    for (int64_t r = 0; r < N; r++, dy += n, x += n, R += n, dx += n) {
        for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * R[i], by_rows[r * n + i] = dx[i] * alpha[i] * x[i];
        if (any_zero) /* then P = 0 */
            for (int64_t i = 0; i < n; i++) dx[i] = zeros[r * n + i] ? 0 : dx[i];
        for (int64_t i = 0; i < n; i++) dalpha[i] += dx[i] * x[i], dx[i] *= alpha[i];
    }
    /* Sums of subnormal numbers take long and their quotients may underflow: t is scaled, and what is tiny compared with
    its largest counts as 0. A division: 1 / scale may overflow. */
    double most_t = largest(N * n, by_rows);
    REAL scale = most_t > 0 && most_t < (REAL)INFINITY ? (REAL)exp2(floor(log2(most_t))) : 1;
    for (int64_t at = 0; at < N * n; at++) {
        REAL a = by_rows[at] / scale;
        by_rows[at] = a < (REAL)1e-20 && a > (REAL)-1e-20 ? 0 : a;
    }
    for (int64_t i = 0; i < units; i += UNITS)
        for (int64_t r = 0; r < N; r++)
            UNROLL for (int k = 0; k < UNITS; k++) t[i * N + r * UNITS + k] = i + k < n ? by_rows[r * n + i + k] : 0;
    for (int64_t i = 0; any_zero && i < units; i++)
        for (int64_t r = 0; r < N; r++) {
            int64_t place = (i / UNITS * N + r) * UNITS + i % UNITS, found = i < n ? zeros[r * n + i] : 2;
            sole[place] = found == 1 ? t[place] : 0;
            t[place] = found ? 0 : t[place];
        }
    double most_z = sizeof(REAL) == 4 ? largest(N * m, v) * largest(n * m, beta) : 1;
    int terms = most_z <= 0x1p-9 ? 2 : most_z <= 0x1p-6 ? 3 : 0; /* right to 4e-6 */
    int far = terms || all_far_from_zero(N, n, m, v, beta, most_v);
    struct backward_job job = {N, n, m, terms, far, v, beta, t, sole, scale, most, memory, dv, dbeta};
    run_parts(backward_part, &job, (m + LANES - 1) / LANES, threads);
    free(t), free(by_rows), free(memory), free(most_v);
    return 1;
}
