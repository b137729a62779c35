package com.example.menu;

@Backing(type="int")
enum Heat {
    NONE,
    MILD = 1 << 4,
    HOT = MILD * 2,
    NEGATIVE = -5,
}
