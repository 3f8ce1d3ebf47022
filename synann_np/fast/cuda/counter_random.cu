// Dropout masks without state, the same integers as synann_np/counter_random.py.
//
//     key  = splitmix64(seed ⊕ splitmix64(step))
//     bits = mix32(mix32(element ⊕ low half of key) ⊕ high half)
//
// An element is kept where bits ≥ p 2³²; with p = ½ that is the upper bit, and what is kept is doubled.

__device__ inline uint64 splitmix64(uint64 z)
{
    z += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

__device__ inline uint32 mix32(uint32 h)
{
    h ^= h >> 16;
    h *= 0x7FEB352Du;
    h ^= h >> 15;
    h *= 0x846CA68Bu;
    return h ^ (h >> 16);
}

__device__ inline uint64 mask_key(uint64 seed, int64 step) { return splitmix64(seed ^ splitmix64((uint64)step)); }

// m / (1 − p) for p = ½: 2 or 0.
__device__ inline real half_mask(uint64 key, uint32 element)
{
    uint32 bits = mix32(mix32(element ^ (uint32)key) ^ (uint32)(key >> 32));
    return bits >= 0x80000000u ? (real)2 : (real)0;
}
