/* The slope of a loss in the kernels of a convolution map by map, of one image at a time:

       w[c][i][j] = sum over y, x of g[y][x][c] * f[y * stride + i - pad][x * stride + j - pad][c],

   f the features and g the slope of what the convolution made of them, both with their maps last; f is 0 outside.

   WIDE maps are computed at a time: there each row of f is copied once, with zeros around it, to a ring of the K rows
   in use, and the K sums of a row of kernels stay in registers. K, the kernels' side, is given to the compiler. */

#include "lanes.h"

#define VECTORS 2
#define WIDE (VECTORS * LANES)

/* Some maps of a row of pixels, close together; those that are missing up to WIDE are 0. */
static void copy_row(float *to, const float *from, long columns, long maps, long some) {
    if (some == WIDE)
        for (long x = 0; x < columns; x++)
            UNROLLED for (int v = 0; v < VECTORS; v++)
                store(to + x * WIDE + v * LANES, load(from + x * maps + v * LANES));
    else
        for (long x = 0; x < columns; x++)
            memcpy(to + x * WIDE, from + x * maps, some * sizeof(float));
}

/* What a row of slopes adds to the K kernels' values of one row. */
static void add_row(float *sums, const float *features, const float *slopes, long columns, long stride) {
    Floats sum[K][VECTORS] = {};
    for (long x = 0; x < columns; x++)
        UNROLLED for (int v = 0; v < VECTORS; v++) {
            Floats slope = load(slopes + x * WIDE + v * LANES);
            UNROLLED for (int j = 0; j < K; j++)
                sum[j][v] += slope * load(features + (x * stride + j) * WIDE + v * LANES);
        }
    UNROLLED for (int j = 0; j < K; j++)
        UNROLLED for (int v = 0; v < VECTORS; v++) {
            float *at = sums + j * WIDE + v * LANES;
            store(at, load(at) + sum[j][v]);
        }
}

int dfgame_depthwise(const float *features, const float *slopes, float *weights, long maps, long height, long width,
                     long rows, long columns, long stride, long pad) {
    long pitch = (width + 2 * pad + K) * WIDE;
    float *ring = calloc(K * pitch + columns * WIDE, sizeof(float)), *slope = ring + K * pitch;
    if (!ring)
        return 1;
    for (long first = 0; first < maps; first += WIDE) {
        long some = maps - first < WIDE ? maps - first : WIDE, known = 0;
        float sums[K * K * WIDE] = {};
        memset(ring, 0, K * pitch * sizeof(float));
        memset(slope, 0, columns * WIDE * sizeof(float));
        for (long y = 0; y < rows; y++) {
            long top = y * stride - pad;
            for (long next = known > top ? known : top; next < top + K && next < height; next++)
                if (next >= 0) {
                    copy_row(ring + next % K * pitch + pad * WIDE, features + next * width * maps + first, width, maps, some);
                    known = next + 1;
                }
            copy_row(slope, slopes + y * columns * maps + first, columns, maps, some);
            for (int i = 0; i < K; i++)
                if (top + i >= 0 && top + i < height)
                    add_row(sums + i * K * WIDE, ring + (top + i) % K * pitch, slope, columns, stride);
        }
        for (long map = 0; map < some; map++)
            for (long k = 0; k < K * K; k++)
                weights[(first + map) * K * K + k] = sums[k * WIDE + map];
    }
    free(ring);
    return 0;
}
