// A bare-metal guest for board_test: several small programs, chosen by the word at offset 4. Runs with the MMU off, from where load_flat puts it.
//
// Interrupt handlers own x10..x17. Main programs own the rest; x21, x22 and x23 count interrupts.

        .equ    UART, 0x09000000
        .equ    GICD, 0x08000000
        .equ    GICR, 0x080a0000
        .equ    PSCI_CPU_ON, 0xc4000003
        .equ    PSCI_SYSTEM_OFF, 0x84000008
        .equ    PSCI_SYSTEM_RESET, 0x84000009

        .arch   armv8-a
        .global _start
_start: b       start
program: .word  0
start:  adr     x1, stack_top
        mov     sp, x1
        adr     x1, vectors
        msr     vbar_el1, x1
        isb
        mov     x21, #0
        mov     x22, #0
        mov     x23, #0
        ldr     w1, program
        cmp     w1, #1
        b.eq    reset
        cmp     w1, #2
        b.eq    timer
        cmp     w1, #3
        b.eq    ping
        cmp     w1, #4
        b.eq    echo
        cmp     w1, #5
        b.eq    spin

// 0: says hello and switches off.
        adr     x0, hello
        bl      print
off:    ldr     w0, =PSCI_SYSTEM_OFF
        hvc     #0
        b       .

// 1: resets.
reset:  ldr     w0, =PSCI_SYSTEM_RESET
        hvc     #0
        b       .

// 2: sleeps through ten ticks of the virtual timer, each a thousandth of a second.
timer:  mov     x0, #0
        bl      gic_init
        mrs     x3, cntfrq_el0
        mov     x4, #1000
        udiv    x3, x3, x4
1:      mrs     x4, cntvct_el0
        add     x4, x4, x3
        msr     cntv_cval_el0, x4
        mov     x5, #1
        msr     cntv_ctl_el0, x5
        isb
        wfi                             // interrupts are masked: the line alone ends it
        msr     daifclr, #2
        isb
        msr     daifset, #2
        mrs     x6, cntvct_el0
        cmp     x6, x4
        b.lo    early
        cmp     x21, #10
        b.lo    1b
        adr     x0, ticked
        bl      print
        b       off
early:  adr     x0, too_early
        bl      print
        b       off

// 3: starts CPU 1, then sends it an interrupt that it answers, a thousand times; then sees it switched off.
ping:   mov     x0, #0
        bl      gic_init
        ldr     x0, =PSCI_CPU_ON
        mov     x1, #1
        adr     x2, second
        mov     x3, #77
        hvc     #0
        cbnz    x0, fail
1:      ldr     w0, ready               // device memory: no cache, no reordering
        cbz     w0, 1b
        mov     x5, #1000
2:      mov     x4, #2                  // target list: CPU 1
        movk    x4, #0x0100, lsl #16    // SGI 1
        add     x6, x22, #1
        dsb     sy
        msr     S3_0_C12_C11_5, x4      // ICC_SGI1R_EL1
        isb
3:      cmp     x22, x6
        b.hs    4f
        wfi
        msr     daifclr, #2
        isb
        msr     daifset, #2
        b       3b
4:      subs    x5, x5, #1
        b.ne    2b
        mov     x4, #2
        movk    x4, #0x0300, lsl #16    // SGI 3: the end
        msr     S3_0_C12_C11_5, x4
        isb
5:      ldr     x0, =0xc4000004         // AFFINITY_INFO
        mov     x1, #1
        mov     x2, #0
        hvc     #0
        cmp     x0, #1
        b.ne    5b
        adr     x0, ponged
        bl      print
        b       off
fail:   adr     x0, failed
        bl      print
        b       off

second: cmp     x0, #77                 // the context that CPU_ON passed
        b.ne    fail
        adr     x1, vectors
        msr     vbar_el1, x1
        mov     x21, #0
        mov     x22, #0
        mov     x23, #0
        mov     x0, #1
        bl      gic_init
        adr     x1, ready
        mov     w2, #1
        dsb     sy
        str     w2, [x1]
1:      wfi
        msr     daifclr, #2
        isb
        msr     daifset, #2
        cbz     x23, 1b
        ldr     w0, =0x84000002         // CPU_OFF
        hvc     #0
        b       .

// 4: echoes the UART until it reads a q.
echo:   mov     x0, #0
        bl      gic_init
        ldr     x1, =UART
        mov     w2, #0x70               // LCR: FIFOs, eight bits
        str     w2, [x1, #0x2c]
        mov     w2, #0x301              // CR: on, transmit, receive
        str     w2, [x1, #0x30]
        mov     w2, #0x50               // IMSC: receive, receive timeout
        str     w2, [x1, #0x38]
1:      wfi
        msr     daifclr, #2
        isb
        msr     daifset, #2
        cmp     x23, #'q'
        b.ne    1b
        b       off

// 5: never ends by itself.
spin:   b       spin

// x0: index of this CPU. Everything in group 1; SGIs 1 to 3, PPI 27 and, on CPU 0, the UART's SPI 33 are enabled.
gic_init:
        ldr     x1, =GICD
        mov     w2, #0x12
        str     w2, [x1]
        mov     w2, #2
        str     w2, [x1, #0x84]         // IGROUPR1
        str     w2, [x1, #0x104]        // ISENABLER1
        ldr     x1, =GICR
        add     x1, x1, x0, lsl #17
        str     wzr, [x1, #0x14]        // WAKER
1:      ldr     w2, [x1, #0x14]
        tbnz    w2, #2, 1b
        add     x1, x1, #0x10000
        mov     w2, #-1
        str     w2, [x1, #0x80]         // IGROUPR0
        ldr     w2, =0x0800000e
        str     w2, [x1, #0x100]        // ISENABLER0
        mov     x2, #0xf0
        msr     S3_0_C4_C6_0, x2        // ICC_PMR_EL1
        mov     x2, #1
        msr     S3_0_C12_C12_7, x2      // ICC_IGRPEN1_EL1
        isb
        ret

// x0: zero-terminated text.
print:  ldr     x1, =UART
1:      ldrb    w2, [x0], #1
        cbz     w2, 2f
        str     w2, [x1]
        b       1b
2:      ret

irq:    mrs     x10, S3_0_C12_C12_0     // ICC_IAR1_EL1
        cmp     x10, #1
        b.eq    1f
        cmp     x10, #2
        b.eq    2f
        cmp     x10, #3
        b.eq    3f
        cmp     x10, #27
        b.eq    4f
        cmp     x10, #33
        b.eq    5f
        eret                            // spurious
1:      mov     x11, #1                 // answer CPU 0 with SGI 2
        movk    x11, #0x0200, lsl #16
        msr     S3_0_C12_C11_5, x11
        b       done
2:      add     x22, x22, #1
        b       done
3:      mov     x23, #1
        b       done
4:      msr     cntv_ctl_el0, xzr
        isb
        add     x21, x21, #1
        b       done
5:      ldr     x11, =UART
6:      ldr     w12, [x11, #0x18]
        tbnz    w12, #4, done           // receive FIFO empty
        ldr     w23, [x11]
        str     w23, [x11]
        b       6b
done:   msr     S3_0_C12_C12_1, x10     // ICC_EOIR1_EL1
        isb
        eret

broken: adr     x0, exception
        bl      print
        b       off

        .balign 2048
vectors:
        .rept   5
        b       broken
        .balign 128
        .endr
        b       irq                     // current EL, SP_ELx
        .balign 128
        .rept   10
        b       broken
        .balign 128
        .endr

        .ltorg
hello:  .asciz  "hello\n"
ticked: .asciz  "ticked\n"
too_early: .asciz "too early\n"
ponged: .asciz  "ponged\n"
failed: .asciz  "failed\n"
exception: .asciz "exception\n"
        .balign 64
ready:  .word   0
        .balign 16
        .skip   1024
stack_top:
