// Firmware for the comparison with QEMU's gdb server: the same instructions at the same addresses on both.
    .text
    .global start
start:                           // 0x00
    mov x0, #5
    mov x1, #0
    movz x2, #0x4010, lsl #16    // in RAM
loop:                            // 0x0c
    add x1, x1, x0
    str x1, [x2]
    subs x0, x0, #1
    b.ne loop
    ldr x3, [x2]                 // 0x1c
    mov x4, #3 << 20
    msr cpacr_el1, x4            // FP and SIMD are allowed
    isb
vectors:                         // 0x2c
    dup v0.4s, w3
    movi v1.16b, #0x5a
    eor v2.16b, v0.16b, v1.16b
    fmov d3, #1.5
    fadd d4, d3, d3
    st1 {v0.16b, v1.16b}, [x2]
    ldp x5, x6, [x2]             // 0x44
    ldadd x6, x7, [x2]
    stp x5, x6, [x2, #32]
    mov x8, sp
    bl called                    // 0x54
    b .                          // 0x58
called:                          // 0x5c
    cmp x5, x6
    cset x9, lo
    ret
