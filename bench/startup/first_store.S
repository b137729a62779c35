// An arm64 Image (Documentation/arch/arm64/booting.rst) whose sixth instruction sends a byte: the PL011 is at 0x0900_0000.
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
    movz x1, #0x0900, lsl #16
    mov w0, #0x301               // UARTCR: UARTEN, TXE, RXE
    str w0, [x1, #0x30]
    mov w0, #'!'
    str w0, [x1]
stop:
    wfi
    b stop
image_end:
