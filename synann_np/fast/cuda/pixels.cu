// The way back of convolution and pooling, every pixel by one thread: it collects what it was copied to. Arrays with the
// batch innermost, as the plain layers keep them: (channels, height, width, N).

#define PIXEL_THREADS 256

// dx_c,h,w,n = Σ_ij dcols_c,i,j,h',w',n over the patches that hold the pixel: h = S h' + D i − padding, w alike. The sum
// runs over i, then j, as the plain layer's.
extern "C" __global__ void __launch_bounds__(PIXEL_THREADS, 4)
columns_to_pixels(const real *__restrict__ dcols, real *dx, int C, int H, int W, int N, int OH, int OW, int KH, int KW,
                  int SH, int SW, int DH, int DW, int top, int left)
{
    int64 element = (int64)blockIdx.x * PIXEL_THREADS + threadIdx.x;
    if (element >= (int64)C * H * W * N) return;
    int n = (int)(element % N), w = (int)(element / N % W) + left, h = (int)(element / N / W % H) + top;
    int c = (int)(element / N / W / H);
    real sum = 0;
    for (int i = 0; i < KH; i++) {
        int y = h - DH * i;
        if (y < 0 || y % SH || y / SH >= OH) continue;
        for (int j = 0; j < KW; j++) {
            int x = w - DW * j;
            if (x < 0 || x % SW || x / SW >= OW) continue;
            sum += dcols[((((int64)(c * KH + i) * KW + j) * OH + y / SH) * OW + x / SW) * N + n];
        }
    }
    dx[element] = sum;
}

// y = the largest of a window of KH × KW pixels, winner = its number, row by row; of equals the first, and NaN wins.
extern "C" __global__ void __launch_bounds__(PIXEL_THREADS)
pool_forward(const real *__restrict__ x, real *y, uint8 *winner, int C, int H, int W, int N, int OH, int OW, int KH,
             int KW)
{
    int64 element = (int64)blockIdx.x * PIXEL_THREADS + threadIdx.x;
    if (element >= (int64)C * OH * OW * N) return;
    int n = (int)(element % N), w = (int)(element / N % OW) * KW, h = (int)(element / N / OW % OH) * KH;
    int c = (int)(element / N / OW / OH), first = 0;
    real largest = 0;
    for (int k = 0; k < KH * KW; k++) {
        real value = x[((int64)(c * H + h + k / KW) * W + w + k % KW) * N + n];
        if (k == 0 || value > largest || value != value) {
            largest = value;
            first = k;
        }
    }
    y[element] = largest;
    winner[element] = (uint8)first;
}

// dx = dy where the pixel won its window, else 0.
extern "C" __global__ void __launch_bounds__(PIXEL_THREADS)
pool_backward(const uint8 *__restrict__ winner, const real *__restrict__ dy, real *dx, int C, int H, int W, int N, int OH,
              int OW, int KH, int KW)
{
    int64 element = (int64)blockIdx.x * PIXEL_THREADS + threadIdx.x;
    if (element >= (int64)C * H * W * N) return;
    int n = (int)(element % N), w = (int)(element / N % W), h = (int)(element / N / W % H);
    int c = (int)(element / N / W / H);
    real value = 0;
    if (h / KH < OH && w / KW < OW) {
        int64 window = ((int64)(c * OH + h / KH) * OW + w / KW) * N + n;
        if (winner[window] == h % KH * KW + w % KW) value = dy[window];
    }
    dx[element] = value;
}
