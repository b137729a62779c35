// Entry of the unit-cost image: arm64 Image header, EL1 with caches and MMU on, vectors, secondary CPUs, and the functions that
// the call rows call.
    .section .text.boot, "ax"
    .global _start
_start:                         // header: Linux Documentation/arch/arm64/booting.rst
    b       boot
    .long   0
    .quad   0x80000             // text offset
    .quad   image_size
    .quad   0xa                 // little endian, 4K pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

boot:
    adrp    x0, boot_stack_top
    add     sp, x0, :lo12:boot_stack_top
    adrp    x0, bss_start
    add     x0, x0, :lo12:bss_start
    adrp    x1, bss_end
    add     x1, x1, :lo12:bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    b       1b
2:  bl      enable_features
    bl      make_page_tables
    bl      enable_mmu
    bl      unit_main
    b       .

enable_features:
    mov     x0, #(3 << 20)      // CPACR_EL1.FPEN: no trap
    msr     cpacr_el1, x0
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el1, x0
    isb
    ret

enable_mmu:
    ldr     x0, =0xff00         // MAIR: attribute 0 device-nGnRnE, 1 normal write-back
    msr     mair_el1, x0
    // TCR: T0SZ 25 (39 bits), write-back inner shareable walks, 4K granule, no TTBR1, 40-bit physical, 16-bit ASIDs
    ldr     x0, =(25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32 | 1 << 36)
    msr     tcr_el1, x0
    adrp    x0, level1_table
    add     x0, x0, :lo12:level1_table
    msr     ttbr0_el1, x0
    isb
    tlbi    vmalle1
    dsb     sy
    isb
    mrs     x0, sctlr_el1
    mov     x1, #0x1005         // M, C, I
    orr     x0, x0, x1
    msr     sctlr_el1, x0
    isb
    ret

// PSCI starts a secondary CPU here with its stack in x0.
    .global secondary_start
secondary_start:
    mov     sp, x0
    bl      enable_features
    bl      enable_mmu
    bl      secondary_main
    b       .

    .balign 2048
vectors:
    .rept   4
    b       unexpected
    .balign 128
    .endr
    eret                        // synchronous, current EL: the SVC row
    .balign 128
    .rept   11
    b       unexpected
    .balign 128
    .endr
unexpected:
    mrs     x0, esr_el1
    mrs     x1, elr_el1
    mrs     x2, far_el1
    bl      report_exception
    b       .

// Four calls per iteration of x0, to a function in the same page and to one in another.
    .macro  call_loop target
    mov     x9, x30
1:  .rept   4
    bl      \target
    .endr
    subs    x0, x0, #1
    b.ne    1b
    mov     x30, x9
    ret
    .endm

    .balign 4096
    .global call_same_page
call_same_page:
    call_loop near_function
near_function:
    add     x1, x1, #1
    ret

    .balign 4096
    .global call_cross_page
call_cross_page:
    call_loop far_function
    .balign 4096
far_function:
    add     x1, x1, #1
    ret

// x0 indirect calls through the table of eight functions at x1, in turn.
    .balign 4096
    .global call_indirect
call_indirect:
    mov     x9, x30
    mov     x2, #0
1:  and     x3, x2, #7
    ldr     x4, [x1, x3, lsl #3]
    blr     x4
    add     x2, x2, #1
    cmp     x2, x0
    b.ne    1b
    mov     x30, x9
    ret
    .balign 64
    .global call_targets        // eight functions, 64 bytes apart
call_targets:
    .rept   8
    add     x5, x5, #1
    ret
    .balign 64
    .endr

    .balign 4096
    .global patched_function
patched_function:
    mov     w0, #1
    ret
    .balign 4096

    .section .bss
    .balign 4096
    .global level1_table
level1_table:
    .space  4096
    .global level2_table
level2_table:
    .space  4096
    .global level3_tables
level3_tables:
    .space  4096 * 64
    .space  65536
boot_stack_top:
