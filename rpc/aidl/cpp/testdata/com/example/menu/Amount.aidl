package com.example.menu;

import com.example.menu.Heat;
import com.example.menu.Ingredient;

/** How much of it. */
union Amount {
    const int DOZEN = 12;
    int pieces = DOZEN;
    String words;
    int[] perGuest;
    Ingredient exactly;
    Heat heat;
    @nullable String note;
    ParcelFileDescriptor photo;
    int[2][3] grid;
}
