/* y_ni = α_i x_ni P_ni,  P_ni = ∏_j q_nij,  q_nij = 1 − β_ij v_nj, and its gradients. Formulas: synapse_graph.py.

x, y (N, n)   v (N, m)   alpha (n)   beta (n, m). Compile with -DREAL=float or double. */

#include "synapse_factors.h"

struct forward_job {
    int64_t N, n, m;
    double most;        /* of |R| */
    const REAL *x, *v, *alpha, *beta;
    const double *rows; /* v, 0 behind the last row */
    double *tiles;      /* of each thread: COLUMNS × TILE of beta, then N × TILE of mantissas, then of exponents */
    REAL *y, *R, *zeros; /* (N, n). R: the product of the factors that are not 0; zeros: how many are 0, at most 2 */
};

static REAL without_zeros(int64_t m, const REAL *v, const REAL *beta, double most, REAL *zeros)
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

/* A tile of units. */
void forward(const struct forward_job *job, int64_t part, int64_t seat)
{
    int64_t n = job->n, m = job->m, N_up = UP(job->N, ROWS), first = part * TILE, units = LEAST(TILE, n - first);
    double *beta = job->tiles + seat * TILE * (COLUMNS + 2 * N_up), *mantissa = beta + COLUMNS * TILE;
    int64_t *exponent = (int64_t *)(mantissa + N_up * TILE);
    for (int64_t k = 0; k < N_up * TILE; k++) mantissa[k] = 1, exponent[k] = 0;
    memset(beta, 0, COLUMNS * TILE * sizeof(double));
    for (int64_t start = 0; start < m; start += COLUMNS) {
        int64_t count = LEAST(COLUMNS, m - start);
        for (int64_t i = 0; i < units; i++)
            for (int64_t j = 0; j < count; j++) beta[j * TILE + i] = job->beta[(first + i) * m + start + j];
        for (int64_t r = 0; r < N_up; r += ROWS)
            multiply(count, job->rows + r * m + start, m, (const double_vec *)beta,
                     (double_vec *)(mantissa + r * TILE), (long_vec *)(exponent + r * TILE));
    }
    for (int64_t r = 0; r < job->N; r++) {
        const int64_t at = r * n + first;
        REAL R[TILE], zeros[TILE] = {0}, y[TILE];
        int odd = scaled(mantissa + r * TILE, exponent + r * TILE, job->most, R);
        for (int64_t i = 0; i < units && odd; i++)
            R[i] = without_zeros(m, job->v + r * m, job->beta + (first + i) * m, job->most, zeros + i);
        for (int64_t i = 0; i < units; i++) y[i] = zeros[i] > 0 ? 0 : job->alpha[first + i] * job->x[at + i] * R[i];
        memcpy(job->y + at, y, units * sizeof(REAL)), memcpy(job->R + at, R, units * sizeof(REAL));
        memcpy(job->zeros + at, zeros, units * sizeof(REAL));
    }
}

struct rows_job {
    int64_t N, n, size;
    const REAL *dy, *x, *alpha, *R, *zeros;
    REAL *dx, *dalpha, *t; /* t (n / UNITS, N, UNITS), 0 behind the last unit, in the order in which backward reads it */
    double *found; /* the scale of t, 2^k, so that its quotients do not underflow; 1 if a factor is 0, else 0 */
};

/* dx, dalpha and t = dy α x R / scale, of which elements below 1e-20 count as 0: sums of subnormal numbers take long. */
void rows(const struct rows_job *job, int64_t part, int64_t seat)
{
    const struct rows_job j = *job;
    REAL most = 0;
    int zeros = 0;
    for (int64_t r = 0; r < j.N; r++)
        for (int64_t i = 0; i < j.n; i++) {
            const int64_t at = r * j.n + i;
            const REAL dyR = j.dy[at] * j.R[at], dyP = j.zeros[at] > 0 ? 0 : dyR, t = dyR * j.alpha[i] * j.x[at];
            j.dx[at] = dyP * j.alpha[i];
            j.dalpha[i] += dyP * j.x[at];
            j.t[(i / UNITS * j.N + r) * UNITS + i % UNITS] = t;
            most = MOST(fabs(t), most), zeros |= j.zeros[at] > 0;
        }
    const REAL scale = j.found[0] = most > 0 && most < (REAL)INFINITY ? exp2(floor(log2(most))) : 1;
    j.found[1] = zeros;
    for (int64_t at = 0; at < j.size; at++) { /* a product by 1 / scale might overflow */
        REAL a = j.t[at] / scale;
        j.t[at] = (a < (REAL)1e-20) & (a > (REAL)-1e-20) ? 0 : a;
    }
}

struct backward_job {
    int64_t N, n, m;
    double most, scale, zero; /* zero: whether a factor is 0 */
    const REAL *v, *beta, *t, *zeros;
    vec *memory;           /* of each thread 2 × N */
    REAL *dv, *dbeta;
};

/* What `quotients` computes, where factors may be 0 or nearly so: one by one in float64, clipped as in the plain layer. */
static void careful_quotients(const struct backward_job *job, int64_t first, const REAL (*v)[LANES],
                              const REAL (*beta)[LANES], REAL (*sum)[LANES], REAL (*dbeta)[LANES])
{
    double most = job->most / job->scale;
    for (int64_t i = 0; i < LEAST(UNITS, job->n - first); i++) {
        double d[LANES] = {0};
        for (int64_t r = 0; r < job->N; r++)
            for (int l = 0; l < LANES; l++) {
                double b = beta[i][l], x = v[r][l], q = 1 - b * x, t = job->t[(first / UNITS * job->N + r) * UNITS + i];
                double zeros = job->zeros[r * job->n + first + i] - (q == 0), c = zeros ? 0 : q == 0 ? t : t / q;
                c = c > most ? most : c < -most ? -most : c;
                double s = c * b;
                d[l] += c * x;
                sum[r][l] += s > most ? most : s < -most ? -most : s;
            }
        for (int l = 0; l < LANES; l++) dbeta[i][l] = d[l];
    }
}

/* How to compute 1/q in some columns: SERIES, right to 4e-6, if all |β v| ≤ 2⁻⁹; DIVISIONS if all factors are far from 0. */
static enum inverse inverse_of(int64_t N, int64_t n, int64_t m, const vec *v, const REAL *beta, int64_t columns)
{
    REAL v_most[LANES] = {0}, v_least[LANES] = {0}, most[LANES] = {0}, least[LANES] = {0}, high = 0, low = 0; /* of β v */
    for (int64_t r = 0; r < N; r++)
        for (int l = 0; l < LANES; l++) v_most[l] = MOST(v[r][l], v_most[l]), v_least[l] = LEAST(v[r][l], v_least[l]);
    for (int64_t i = 0; i < n; i++, beta += m)
        for (int l = 0; l < columns; l++) most[l] = MOST(beta[l], most[l]), least[l] = LEAST(beta[l], least[l]);
    for (int l = 0; l < columns; l++) {
        high = MOST(high, MOST(most[l] * v_most[l], least[l] * v_least[l]));
        low = LEAST(low, LEAST(most[l] * v_least[l], least[l] * v_most[l]));
    }
    if (sizeof(REAL) == 4 && MOST(high, -low) <= 0x1p-9) return SERIES;
    return high <= 1 - 0x1p-20 && low >= -0x1p20 ? DIVISIONS : CAREFULLY;
}

/* LANES columns. */
void backward(const struct backward_job *job, int64_t part, int64_t seat)
{
    const int64_t N = job->N, n = job->n, m = job->m, j = part * LANES;
    const REAL back = -job->scale;
    vec *v = job->memory + seat * 2 * N, *sum = v + N;
    memset(v, 0, 2 * N * sizeof(vec));
    for (int64_t r = 0; r < N; r++) copy(v + r, job->v + r * m + j, m - j);
    const enum inverse inverse = job->zero ? CAREFULLY : inverse_of(N, n, m, v, job->beta + j, LEAST(LANES, m - j));
    for (int64_t i = 0; i < n; i += UNITS) {
        vec beta[UNITS] = {0}, dbeta[UNITS];
        const REAL *t = job->t + i * N;
        for (int64_t k = 0; k < LEAST(UNITS, n - i); k++) copy(beta + k, job->beta + (i + k) * m + j, m - j);
        if (inverse == SERIES) quotients(SERIES, N, v, beta, t, UNITS, sum, dbeta);
        else if (inverse == DIVISIONS) quotients(DIVISIONS, N, v, beta, t, UNITS, sum, dbeta);
        else careful_quotients(job, i, (void *)v, (void *)beta, (void *)sum, (void *)dbeta);
        for (int64_t k = 0; k < LEAST(UNITS, n - i); k++)
            dbeta[k] *= back, copy(job->dbeta + (i + k) * m + j, dbeta + k, m - j);
    }
    for (int64_t r = 0; r < N; r++) sum[r] *= back, copy(job->dv + r * m + j, sum + r, m - j);
}
