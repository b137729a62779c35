// The smallest kernel: an arm64 Image (Documentation/arch/arm64/booting.rst) that greets on the PL011, echoes each byte it gets, and obeys
// some of them: o powers off, r resets, p panics as Linux would say it and resets, m reads 100,000 times from where no device is,
// w gives the watchdog an eighth of a second and hangs.
    .text
    .global image
image:
    b start
    .long 0
    .quad 0                      // text_offset
    .quad image_end - image
    .quad 0xa                    // little-endian, 4 KiB pages, anywhere in memory
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long 0

start:
    movz x20, #0x0900, lsl #16   // PL011
    mov w2, #0x301               // UARTCR: UARTEN, TXE, RXE
    str w2, [x20, #0x30]
    adr x1, greeting
    bl print
wait:
    ldr w2, [x20, #0x18]         // UARTFR
    tbnz w2, #4, wait            // RXFE
    ldr w3, [x20]
    str w3, [x20]
    cmp w3, #'o'
    b.eq power_off
    cmp w3, #'r'
    b.eq reset
    cmp w3, #'m'
    b.eq stray
    cmp w3, #'w'
    b.eq watchdog
    cmp w3, #'p'
    b.ne wait
    adr x1, panic
    bl print
reset:
    movz w0, #0x8400, lsl #16    // PSCI SYSTEM_RESET
    movk w0, #9
    hvc #0
stray:
    movz x21, #0x0b00, lsl #16   // between the virtio-mmio slots and RAM
    movz w22, #0x8680            // 100,000
    movk w22, #1, lsl #16
again:
    ldr w2, [x21]
    subs w22, w22, #1
    b.ne again
    mov w2, #'.'
    str w2, [x20]
    b wait
watchdog:
    movz x21, #0x0919, lsl #16   // the SBSA watchdog's control frame
    mrs x2, cntfrq_el0
    lsr x2, x2, #4
    str w2, [x21, #8]            // WOR: a sixteenth of a second, twice
    str wzr, [x21, #12]
    mov w2, #1
    str w2, [x21]                // WCS: EN
    b .
power_off:
    movz w0, #0x8400, lsl #16    // PSCI SYSTEM_OFF
    movk w0, #8
    hvc #0
stop:
    wfi
    b stop

print:
    ldrb w2, [x1], #1
    cbz w2, printed
    str w2, [x20]
    b print
printed:
    ret

greeting: .asciz "raw> "
panic: .asciz "\r\nKernel panic - not syncing: as asked\r\n"
    .balign 4
image_end:
