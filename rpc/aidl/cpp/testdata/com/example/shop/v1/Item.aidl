package com.example.shop.v1;

parcelable Item {
    String name;
    int price;
}
