package com.example.menu;

@Backing(type="long")
enum Order {
    FIRST = 1,
    HUGE = 0x100000000,
}
