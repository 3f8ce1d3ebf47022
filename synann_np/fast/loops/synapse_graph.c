/* y_ni = α_i x_ni P_ni,  P_ni = ∏_j q_nij,  q_nij = 1 − β_ij v_nj, and its gradients. Formulas: synapse_graph.py.

x, y (N, n)   v (N, m)   alpha (n)   beta (n, m). Compile with -DREAL=float or double. */

#include "synapse_factors.h"

struct forward_job {
    int64_t N, n, m;
    double most;        /* of |R| */
    const REAL *x, *v, *alpha, *beta;
    const double *rows; /* v, 0 behind the last row */
    double *tiles;      /* of each thread: COLUMNS × TILE of beta, then N × TILE of mantissas, then of exponents */
    REAL *y, *R;        /* R (N, n): the product of the factors that are not 0 */
    REAL *zeros;        /* (N, n): how many are 0, at most 2 */
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
    int64_t N, n, row;
    const REAL *dy, *x, *alpha, *R, *zeros;
    REAL *dx, *dalpha, *t; /* t: N rows, `row` numbers apart, a multiple of LANES */
    double *scale;         /* of t: 2^k, so that its quotients do not underflow */
};

/* dx, dalpha and t = dy α x R / scale, of which elements below 1e-20 count as 0: sums of subnormal numbers take long. */
void rows(const struct rows_job *job, int64_t part, int64_t seat)
{
    const struct rows_job j = *job;
    REAL most[LANES] = {0};
    for (int64_t r = 0; r < j.N; r++) {
        REAL *t = j.t + r * j.row;
        APART for (int64_t i = 0; i < j.n; i++) {
            int64_t at = r * j.n + i;
            REAL dyR = j.dy[at] * j.R[at], dyP = j.zeros[at] > 0 ? 0 : dyR;
            j.dx[at] = dyP * j.alpha[i];
            j.dalpha[i] += dyP * j.x[at];
            t[i] = dyR * j.alpha[i] * j.x[at];
        }
        memset(t + j.n, 0, (j.row - j.n) * sizeof(REAL));
        for (int64_t i = 0; i < j.row; i += LANES)
            for (int l = 0; l < LANES; l++) most[l] = fabs(t[i + l]) > most[l] ? fabs(t[i + l]) : most[l];
    }
    for (int l = 1; l < LANES; l++) most[0] = most[l] > most[0] ? most[l] : most[0];
    REAL scale = *j.scale = most[0] > 0 && most[0] < (REAL)INFINITY ? exp2(floor(log2(most[0]))) : 1;
    for (int64_t at = 0; at < j.N * j.row; at++) { /* a product by 1 / scale might overflow */
        REAL a = j.t[at] / scale;
        j.t[at] = (a < (REAL)1e-20) & (a > (REAL)-1e-20) ? 0 : a;
    }
}

struct backward_job {
    int64_t N, n, m, row, way; /* way: 2 or 3 terms of 1/q; 0: all factors are far from 0; −1: they may be anything */
    double most, scale;
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
                double b = beta[i][l], x = v[r][l], q = 1 - b * x, t = job->t[r * job->row + first + i];
                double zeros = job->zeros[r * job->n + first + i] - (q == 0), c = zeros ? 0 : q == 0 ? t : t / q;
                c = c > most ? most : c < -most ? -most : c;
                double s = c * b;
                d[l] += c * x;
                sum[r][l] += s > most ? most : s < -most ? -most : s;
            }
        for (int l = 0; l < LANES; l++) dbeta[i][l] = d[l];
    }
}

/* LANES columns. */
void backward(const struct backward_job *job, int64_t part, int64_t seat)
{
    int64_t N = job->N, n = job->n, m = job->m, j = part * LANES, columns = LEAST(LANES, m - j);
    vec *v = job->memory + seat * 2 * N, *sum = v + N;
    memset(v, 0, 2 * N * sizeof(vec));
    for (int64_t r = 0; r < N; r++) memcpy(v + r, job->v + r * m + j, columns * sizeof(REAL));
    for (int64_t i = 0; i < n; i += UNITS) {
        vec beta[UNITS] = {0}, dbeta[UNITS];
        const REAL *t = job->t + i;
        for (int64_t k = 0; k < LEAST(UNITS, n - i); k++) memcpy(beta + k, job->beta + (i + k) * m + j, columns * sizeof(REAL));
        if (job->way == 2) quotients(2, N, v, beta, t, job->row, sum, dbeta);
        else if (job->way == 3) quotients(3, N, v, beta, t, job->row, sum, dbeta);
        else if (job->way == 0) quotients(0, N, v, beta, t, job->row, sum, dbeta);
        else careful_quotients(job, i, (void *)v, (void *)beta, (void *)sum, (void *)dbeta);
        for (int64_t k = 0; k < LEAST(UNITS, n - i); k++)
            for (int64_t l = 0; l < columns; l++) job->dbeta[(i + k) * m + j + l] = -job->scale * dbeta[k][l];
    }
    for (int64_t r = 0; r < N; r++)
        for (int64_t l = 0; l < columns; l++) job->dv[r * m + j + l] = -job->scale * sum[r][l];
}
