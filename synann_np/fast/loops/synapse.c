/* The synapse layer with all its factors, one by one, in registers. Formulas, letters and conditions: synapse.py.

Constant from the command line: REAL, float or double. */

#include "vectors.h"

#include <math.h>

#define DOUBLES ((int)(BYTES / sizeof(double)))

typedef double double_vec __attribute__((vector_size(BYTES), may_alias));

enum { ROWS = 4, VECTORS = 4, UNITS = 4 }; /* at a time: forward 4 by 4 sums in registers, backward one division for 4 */
#define TILE (VECTORS * DOUBLES)   /* units of a tile, forward, and columns: 16 KiB of beta */
#define COLUMNS 64

static const double LEAST_FACTOR = 0x1p-20, MOST_GROWTH = 600;
static const REAL MOST_BETA = 0x1p20;

/* Whether every q_nij is at least LEAST_FACTOR, no product of some of them above exp(MOST_GROWTH), and no |β_ij| so large
that a sum could overflow where x = 0. */
static int holds(int64_t N, int64_t n, const REAL *x, const REAL *beta, REAL *most)
{
    int sound = 1;
    memset(most, 0, n * sizeof(REAL));
    for (int64_t r = 0; r < N; r++)
        for (int64_t j = 0; j < n; j++) {
            REAL a = x[r * n + j];
            sound &= a >= 0;
            most[j] = a > most[j] ? a : most[j];
        }
    for (int64_t i = 0; i < n && sound; i++) {
        REAL growth[16] = {0};
        for (int64_t j = 0; j < n; j++) {
            REAL b = beta[i * n + j], z = b * most[j];
            sound &= (z <= (REAL)(1 - LEAST_FACTOR)) & (b <= MOST_BETA) & (b >= -MOST_BETA);
            growth[j % 16] -= z < 0 ? z : 0;
        }
        double sum = 0;
        for (int k = 0; k < 16; k++) sum += growth[k];
        sound &= sum <= MOST_GROWTH;
    }
    return sound;
}

/* P_ni *= ∏_j q_nij for ROWS rows, a tile of units and `count` columns; x[j][row], beta[j][unit] */
static void multiply(int64_t count, const double *x, const double_vec *beta, double_vec P[ROWS][VECTORS])
{
    double_vec p[ROWS][VECTORS];
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < VECTORS; v++) p[r][v] = P[r][v];
    for (int64_t j = 0; j < count; j++, x += ROWS, beta += VECTORS)
        UNROLL for (int r = 0; r < ROWS; r++)
            UNROLL for (int v = 0; v < VECTORS; v++) p[r][v] *= 1 - x[r] * beta[v];
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < VECTORS; v++) P[r][v] = p[r][v];
}

/* x (N, n), alpha (n), beta (n, n); y and P (N, n), |P| at most `most_P`. 1 if done, 0 if it does not hold, −1 without
memory. */
int forward(int64_t N, int64_t n, const REAL *x, const REAL *alpha, const REAL *beta, double most_P, REAL *y, REAL *P)
{
    int64_t N_up = UP(N, ROWS);
    REAL *most = aligned(n * sizeof(REAL));
    double *rows = aligned(N_up * n * sizeof(double)), *tile = aligned(COLUMNS * TILE * sizeof(double));
    double *of_tile = aligned(N_up * TILE * sizeof(double));
    int done = most && rows && tile && of_tile ? holds(N, n, x, beta, most) : -1;
    if (done == 1) {
        for (int64_t r = 0; r < N_up; r++)
            for (int64_t j = 0; j < n; j++) rows[(r / ROWS * n + j) * ROWS + r % ROWS] = r < N ? x[r * n + j] : 0;
        for (int64_t first = 0; first < n; first += TILE) {
            int64_t units = n - first < TILE ? n - first : TILE;
            for (int64_t k = 0; k < N_up * TILE; k++) of_tile[k] = 1;
            memset(tile, 0, COLUMNS * TILE * sizeof(double));
            for (int64_t start = 0; start < n; start += COLUMNS) {
                int64_t count = n - start < COLUMNS ? n - start : COLUMNS;
                for (int64_t i = 0; i < units; i++)
                    for (int64_t j = 0; j < count; j++) tile[j * TILE + i] = beta[(first + i) * n + start + j];
                for (int64_t r = 0; r < N; r += ROWS)
                    multiply(count, rows + r * n + start * ROWS, (double_vec *)tile, (void *)(of_tile + r * TILE));
            }
            for (int64_t r = 0; r < N; r++)
                for (int64_t i = 0; i < units; i++) {
                    int64_t at = r * n + first + i;
                    double p = of_tile[r * TILE + i];
                    P[at] = p > most_P ? most_P : p;
                    y[at] = alpha[first + i] * x[at] * P[at];
                }
        }
    }
    free(most), free(rows), free(tile), free(of_tile);
    return done;
}

/* sum_nj += Σ t_ni β_ij / q_nij and dbeta_ij = Σ_n t_ni x_nj / q_nij for UNITS units i and a vector of columns j */
static void quotients(int64_t N, const vec *x, const vec beta[UNITS], const REAL (*t)[UNITS], vec *sum, vec dbeta[UNITS])
{
    vec b[UNITS], d[UNITS];
    UNROLL for (int i = 0; i < UNITS; i++) b[i] = beta[i], d[i] = (vec){0};
    for (int64_t r = 0; r < N; r++) {
        vec q[UNITS], s = sum[r];
        UNROLL for (int i = 0; i < UNITS; i++) q[i] = 1 - b[i] * x[r];
        vec left = q[0] * q[1], right = q[2] * q[3], inverse = 1 / (left * right);
        vec of_left = inverse * right, of_right = inverse * left; /* 1 / left, 1 / right */
        vec one_over[UNITS] = {of_left * q[1], of_left * q[0], of_right * q[3], of_right * q[2]};
        UNROLL for (int i = 0; i < UNITS; i++) {
            vec quotient = t[r][i] * one_over[i];
            d[i] += quotient * x[r];
            s += quotient * b[i];
        }
        sum[r] = s;
    }
    UNROLL for (int i = 0; i < UNITS; i++) dbeta[i] = d[i];
}

/* As forward; dy, dx (N, n), dalpha (n), dbeta (n, n). */
int backward(int64_t N, int64_t n, const REAL *dy, const REAL *x, const REAL *P, const REAL *alpha, const REAL *beta,
             REAL *dx, REAL *dalpha, REAL *dbeta)
{
    int64_t units = UP(n, UNITS);
    REAL *t = aligned(units * N * sizeof(REAL));
    vec *column = aligned(2 * N * sizeof(vec)), *sum = column + N;
    if (!t || !column) return free(t), free(column), -1;

    memset(dalpha, 0, n * sizeof(REAL));
    REAL largest = 0;
    for (int64_t r = 0; r < N; r++)
        for (int64_t i = 0; i < n; i++) {
            REAL d = dy[r * n + i] * P[r * n + i];
            dalpha[i] += d * x[r * n + i];
            dx[r * n + i] = d *= alpha[i];
            REAL size = d * x[r * n + i] < 0 ? -d * x[r * n + i] : d * x[r * n + i];
            largest = size > largest ? size : largest;
        }
    /* Sums of subnormal numbers take long, and their quotients may underflow: t is scaled, and what is tiny beside its
    largest is left out. A division: 1 / scale may overflow. */
    REAL scale = largest > 0 && largest < (REAL)INFINITY ? (REAL)exp2(floor(log2(largest))) : 1;
    for (int64_t i = 0; i < units; i++)
        for (int64_t r = 0; r < N; r++) {
            REAL a = i < n ? dx[r * n + i] * x[r * n + i] / scale : 0;
            t[(i / UNITS * N + r) * UNITS + i % UNITS] = a < (REAL)1e-20 && a > (REAL)-1e-20 ? 0 : a;
        }
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t lanes = n - j < LANES ? n - j : LANES;
        memset(column, 0, 2 * N * sizeof(vec));
        for (int64_t r = 0; r < N; r++) memcpy(column + r, x + r * n + j, lanes * sizeof(REAL));
        for (int64_t i = 0; i < n; i += UNITS) {
            vec of_beta[UNITS] = {0}, of_dbeta[UNITS];
            int64_t some = n - i < UNITS ? n - i : UNITS;
            for (int64_t k = 0; k < some; k++) memcpy(of_beta + k, beta + (i + k) * n + j, lanes * sizeof(REAL));
            quotients(N, column, of_beta, (const REAL(*)[UNITS])(t + i * N), sum, of_dbeta);
            for (int64_t k = 0; k < some; k++)
                for (int64_t l = 0; l < lanes; l++) dbeta[(i + k) * n + j + l] = -scale * of_dbeta[k][l];
        }
        for (int64_t r = 0; r < N; r++)
            for (int64_t l = 0; l < lanes; l++) dx[r * n + j + l] -= scale * sum[r][l];
    }
    free(t), free(column);
    return 1;
}
